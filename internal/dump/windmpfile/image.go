package windmpfile

import (
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// piece is an extent of the image's map.
type piece = extent.Extent[addr.GPA, addr.FileOff]

// Image is the guest's memory, and where the file has it: Data for what it
// holds, Lost for what lies behind its end, Omitted for what Windows had
// listed and a dump with a bitmap leaves out. It can be read as long as the
// file is open.
func (f *File) Image() (*guest.Image, error) {
	im := &guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}
	if f.own != nil {
		im.Files = []addr.Source{f.own}
	} else {
		im.Files = []addr.Source{borrowed{f}}
	}
	var pieces []piece
	if f.Type == Bitmap {
		for _, r := range f.Listed {
			pieces = append(pieces, piece{Addr: addr.GPA(r.Addr), Size: r.Size, Kind: extent.Omitted})
		}
	}
	for _, r := range f.Runs {
		if r.Off > int64(addr.MaxFileOff) || r.Size > uint64(int64(addr.MaxFileOff)-r.Off) {
			return nil, &FormatError{f.layout().runs, fmt.Sprintf("%#x bytes of memory at offset %#x: no file has that", r.Size, r.Off)}
		}
		data := piece{Addr: addr.GPA(r.Addr), Size: r.Size, Off: addr.InFile(0, r.Off)}
		has := uint64(max(min(f.Size-r.Off, int64(r.Size)), 0))
		if has < r.Size {
			pieces = append(pieces, piece{Addr: data.Addr + addr.GPA(has), Size: r.Size - has, Kind: extent.Lost})
		}
		if data.Size = has; has > 0 {
			pieces = append(pieces, data)
		}
	}
	for _, e := range pieces {
		if err := im.Map.Insert(e); err != nil {
			return nil, fmt.Errorf("guest memory: %w", err)
		}
	}
	for _, e := range im.Map.Extents() {
		if n := len(im.Ranges); n > 0 && im.Ranges[n-1].End() == e.Addr {
			im.Ranges[n-1].Size += e.Size
		} else {
			im.Ranges = append(im.Ranges, guest.Range{Addr: e.Addr, Size: e.Size})
		}
	}
	return im, nil
}

// borrowed is the file of a reader that somebody else has opened.
type borrowed struct{ f *File }

func (b borrowed) Name() string                            { return "the dump" }
func (b borrowed) ReadAt(p []byte, off int64) (int, error) { return b.f.r.ReadAt(p, off) }
