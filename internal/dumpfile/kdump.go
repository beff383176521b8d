package dumpfile

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/dump/kdumpfile"
	"guestcore/internal/guest"
)

func openKdump(path string) (*File, error) {
	k, err := kdumpfile.Open(path)
	if errors.Is(err, kdumpfile.ErrFormat) {
		return nil, fmt.Errorf("%w: %w", err, ErrNotDump)
	}
	if err != nil {
		return nil, err
	}
	f, err := newKdump(k)
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func newKdump(k *kdumpfile.File) (*File, error) {
	f := &File{
		Format: kdumpName(k), Class: k.Class, Order: k.Order, Block: uint64(k.BlockSize),
		memory: pages{k}, close: k.Close,
	}
	notes, err := k.Notes()
	if err != nil {
		return nil, err
	}
	f.readNotes(notes)
	for _, r := range k.Ranges() {
		f.Ranges = append(f.Ranges, guest.Range{Addr: addr.GPA(r.Addr), Size: r.End - r.Addr})
	}
	stored := f.Ranges
	for _, r := range k.Exist() {
		start, end := addr.GPA(r.Addr), addr.GPA(r.End)
		left := func(to addr.GPA) {
			if to > start {
				f.Absent = append(f.Absent, guest.Missing{Addr: start, Size: uint64(to - start), Reason: leftOut})
			}
		}
		for len(stored) > 0 && stored[0].Addr < end {
			left(stored[0].Addr)
			if start = max(start, stored[0].End()); start > end {
				break
			}
			stored = stored[1:]
		}
		left(end)
	}
	return f, nil
}

// kdumpName is "kdump-zlib, 64-bit little-endian x86_64, blocks of 4096 bytes".
func kdumpName(k *kdumpfile.File) string {
	name := "kdump"
	for _, m := range methods {
		if k.Compressed&m.flag != 0 {
			name += "-" + m.name
		}
	}
	if k.Flattened {
		name += ", flattened"
	}
	name += ", " + machineName(k.Class, k.Order, 0)
	if k.UTS[4] != "" {
		name += " " + k.UTS[4]
	}
	return fmt.Sprintf("%s, blocks of %d bytes", name, k.BlockSize)
}

// methods are the ways of compression, by the flags of a page.
var methods = []struct {
	flag uint32
	name string
}{{kdumpfile.Zlib, "zlib"}, {kdumpfile.LZO, "lzo"}, {kdumpfile.Snappy, "snappy"}, {kdumpfile.Zstd, "zstd"}}

// pages is the memory of a kdump file.
type pages struct{ *kdumpfile.File }

// Zero does not tell: pages of zeros are stored like others.
func (p pages) Zero(addr.GPA, uint64) bool { return false }

func (p pages) Where(a addr.GPA) string {
	page, err := p.Page(int64(a) / p.BlockSize)
	if err != nil {
		return "nowhere"
	}
	how := "as it is"
	for _, m := range methods {
		if page.Flags&m.flag != 0 {
			how = m.name
		}
	}
	if p.Flattened {
		how += ", unflattened"
	}
	return fmt.Sprintf("byte %#x of the page at offset %#x (%d bytes, %s)", int64(a)%p.BlockSize, page.Off, page.Size, how)
}
