package dumpfile

import (
	"debug/elf"
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
		uname: k.UTS[4], memory: pages{k}, close: k.Close,
	}
	notes, err := k.Notes()
	if err != nil {
		return nil, err
	}
	f.readNotes(notes)
	if text, err := k.VMCoreInfo(); err == nil && len(text) > 0 && f.note("VMCOREINFO").name == "" {
		f.notes = append(f.notes, note{name: "VMCOREINFO", desc: text}) // as makedumpfile has it
	}
	f.readPhysBase(k)
	f.holds(k.Ranges(), k.Exist(), k.Split)
	return f, nil
}

// holds sets the memory that is in the file and what of the guest's is not;
// parts tells that it may be in other parts of the file.
func (f *File) holds(stored, exist []kdumpfile.Range, parts bool) {
	reason := "was left out when the file was written"
	if parts {
		reason = "is not in this part of a split file, or was left out when it was written: give all parts"
	}
	for _, r := range stored {
		f.Ranges = append(f.Ranges, guest.Range{Addr: addr.GPA(r.Addr), Size: r.End - r.Addr})
	}
	f.Ranges = join(f.Ranges)
	rest := f.Ranges
	for _, r := range exist {
		start, end := addr.GPA(r.Addr), addr.GPA(r.End)
		left := func(to addr.GPA) {
			if to > start {
				f.Absent = append(f.Absent, guest.Missing{Addr: start, Size: uint64(to - start), Reason: reason})
			}
		}
		for len(rest) > 0 && rest[0].Addr < end {
			left(rest[0].Addr)
			if start = max(start, rest[0].End()); start > end {
				break
			}
			rest = rest[1:]
		}
		left(end)
	}
}

// readPhysBase takes phys_base of an x86-64 kernel.
func (f *File) readPhysBase(k *kdumpfile.File) {
	if g, err := f.Arch(""); err == nil && g.Machine == elf.EM_X86_64 {
		base := int64(k.PhysBase)
		f.PhysBase = &base
	}
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
