package dumpfile

import (
	"cmp"
	"debug/elf"
	"fmt"
	"math"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/dump/kdumpfile"
	"guestcore/internal/guest"
)

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
	covers := kdumpfile.Range{End: math.MaxInt64}
	if k.Split {
		covers = covered(k)
	}
	f.holds(k.Ranges(), k.Stored(), k.Exist(), []kdumpfile.Range{covers})
	f.loses(k)
	return f, nil
}

// covered is the memory that a part of a split file has the pages of.
func covered(k *kdumpfile.File) kdumpfile.Range {
	return kdumpfile.Range{Addr: uint64(k.Start * k.BlockSize), End: uint64(k.End * k.BlockSize)}
}

// holds sets the memory that is in the file, has, and what of the guest's was
// not to be: stored was. covered is what the file, as far as it was given, would
// hold at most.
func (f *File) holds(has, stored, exist, covered []kdumpfile.Range) {
	f.Ranges = nil
	for _, r := range has {
		f.Ranges = append(f.Ranges, guest.Range{Addr: addr.GPA(r.Addr), Size: r.End - r.Addr})
	}
	f.Ranges = join(f.Ranges)
	f.Absent = nil
	for _, gap := range without(exist, stored) {
		for _, out := range without([]kdumpfile.Range{gap}, covered) {
			f.absent(out, "is in a part of the split file that was not given")
		}
		for _, c := range covered {
			if start, end := max(gap.Addr, c.Addr), min(gap.End, c.End); start < end {
				f.absent(kdumpfile.Range{Addr: start, End: end}, leftOut)
			}
		}
	}
	slices.SortFunc(f.Absent, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
}

// loses adds the memory that was to be in a file and is not.
func (f *File) loses(k *kdumpfile.File) {
	if k.Cut {
		f.Problems = append(f.Problems, "the flattened file ends without its last record: it is cut short")
	}
	reason := behindEnd
	if k.Incomplete {
		reason = "was never written: whoever wrote the file had no more room, which it says"
	}
	for _, r := range k.Lost() {
		f.Lost = append(f.Lost, guest.Missing{Addr: addr.GPA(r.Addr), Size: r.End - r.Addr, Reason: reason})
	}
}

func (f *File) absent(r kdumpfile.Range, reason string) {
	f.Absent = append(f.Absent, guest.Missing{Addr: addr.GPA(r.Addr), Size: r.End - r.Addr, Reason: reason})
}

// without is what of all is not in some. Both are in order.
func without(all, some []kdumpfile.Range) []kdumpfile.Range {
	var out []kdumpfile.Range
	for _, r := range all {
		for len(some) > 0 && some[0].End <= r.Addr {
			some = some[1:]
		}
		for _, s := range some {
			if s.Addr >= r.End {
				break
			}
			if s.Addr > r.Addr {
				out = append(out, kdumpfile.Range{Addr: r.Addr, End: s.Addr})
			}
			r.Addr = max(r.Addr, min(s.End, r.End))
		}
		if r.Addr < r.End {
			out = append(out, r)
		}
	}
	return out
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

// Zero is about pages of zeros that share one in the file; others are stored
// like any.
func (p pages) Zero(a addr.GPA, n uint64) bool { return toldZero(p, a, n) }

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
