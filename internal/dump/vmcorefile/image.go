package vmcorefile

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Image is the guest's memory in a dump, and where the file has it.
type Image struct {
	// Image's Ranges are as long as can be, and its Map has Data for what the
	// file holds, Lost for what lies behind its end, and Omitted for what was
	// left out (p_memsz greater than p_filesz).
	guest.Image
	// Twice is how many bytes are in the file at two offsets. The header that
	// begins lower in memory counts, of two that begin alike the longer one.
	Twice uint64
}

// part is a piece of memory, in the file or left out of it.
type part struct {
	start, end uint64 // guest-physical
	off        uint64 // in the file
	at         int64  // of the program header
}

// Image is the guest's memory. An error is a [*FormatError].
func (f *File) Image() (*Image, error) {
	var held, omitted []part
	for _, s := range f.Loads {
		switch {
		case s.Memsz < s.Filesz:
			return nil, &FormatError{s.at, fmt.Sprintf("a PT_LOAD has %#x bytes in the file and %#x in memory, which is less", s.Filesz, s.Memsz)}
		case s.Memsz > math.MaxInt64 || s.Paddr > math.MaxInt64-s.Memsz:
			return nil, &FormatError{s.at, fmt.Sprintf("a PT_LOAD of %#x bytes at guest-physical %#x: no guest has that", s.Memsz, s.Paddr)}
		case s.Filesz > 0 && (s.Off > uint64(addr.MaxFileOff) || s.Filesz > uint64(addr.MaxFileOff)-s.Off):
			return nil, &FormatError{s.at, fmt.Sprintf("a PT_LOAD of %#x bytes at offset %#x: no file has that", s.Filesz, s.Off)}
		}
		if s.Filesz > 0 {
			held = append(held, part{s.Paddr, s.Paddr + s.Filesz, s.Off, s.at})
		}
		if s.Memsz > s.Filesz {
			omitted = append(omitted, part{s.Paddr + s.Filesz, s.Paddr + s.Memsz, 0, s.at})
		}
	}
	im := &Image{Image: guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}}
	if f.own != nil {
		im.Files = []addr.Source{f.own}
	}
	var pieces []piece
	inFile := im.flatten(held)
	for _, p := range inFile {
		pieces = append(pieces, p.held(uint64(f.Size))...)
	}
	for _, p := range new(Image).flatten(omitted) {
		pieces = append(pieces, p.omitted(inFile)...)
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.Addr, b.Addr) })
	for _, e := range pieces { // in order, so that each goes to the end
		if err := im.Map.Insert(e); err != nil {
			return nil, fmt.Errorf("guest memory: %w", err)
		}
		if n := len(im.Ranges); n > 0 && im.Ranges[n-1].End() == e.Addr {
			im.Ranges[n-1].Size += e.Size
		} else {
			im.Ranges = append(im.Ranges, guest.Range{Addr: e.Addr, Size: e.Size})
		}
	}
	return im, nil
}

// flatten puts parts in order and cuts off where one overlaps another.
func (im *Image) flatten(parts []part) []part {
	slices.SortStableFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	out := parts[:0]
	for _, p := range parts {
		if n := len(out); n > 0 && p.start < out[n-1].end {
			last := out[n-1]
			if p.off-p.start != last.off-last.start {
				im.Twice += min(p.end, last.end) - p.start
			}
			if p.end <= last.end {
				continue
			}
			p.off += last.end - p.start
			p.start = last.end
		}
		out = append(out, p)
	}
	return out
}

// piece is an extent of the image's map.
type piece = extent.Extent[addr.GPA, addr.FileOff]

// held is a part that is in a file, and what of it is behind the end of that.
func (p part) held(size uint64) []piece {
	data := piece{Addr: addr.GPA(p.start), Size: p.end - p.start}
	lost := data
	lost.Kind = extent.Lost
	if p.off >= size {
		return []piece{lost}
	}
	data.Off = addr.InFile(0, int64(p.off))
	data.Size = min(data.Size, size-p.off)
	if data.Size == lost.Size {
		return []piece{data}
	}
	lost.Addr, lost.Size = data.End(), lost.Size-data.Size
	return []piece{data, lost}
}

// omitted is what of a part is in none of others, which are in order.
func (p part) omitted(others []part) []piece {
	var out []piece
	put := func(end uint64) {
		if end > p.start {
			out = append(out, piece{Addr: addr.GPA(p.start), Size: end - p.start, Kind: extent.Omitted})
		}
	}
	first, _ := slices.BinarySearchFunc(others, p.start, func(o part, start uint64) int {
		if o.end <= start {
			return -1
		}
		return 1
	})
	for _, o := range others[first:] {
		if o.start >= p.end {
			break
		}
		put(o.start)
		p.start = o.end
	}
	put(p.end)
	return out
}
