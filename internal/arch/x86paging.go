package arch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// X86Paging is what decides how an x86 processor translates addresses.
type X86Paging struct {
	CR0, CR3, CR4 uint64
	LongMode      bool   // EFER.LMA
	A20Mask       uint64 // of physical addresses; 0 stands for all bits
}

// Paging is how the processor translates addresses.
func (s *X86) Paging() Paging { return s.X86Paging() }

// X86Paging is the same, with what only x86 has.
func (s *X86) X86Paging() X86Paging {
	p := X86Paging{CR0: s.CR[0], CR3: s.CR[3], CR4: s.CR[4], LongMode: s.LongMode()}
	if s.A20Mask != nil {
		p.A20Mask = *s.A20Mask
	}
	return p
}

// Bits of control registers and of entries (Intel SDM volume 3, chapter 4).
const (
	cr0PG   = 1 << 31
	cr4PSE  = 1 << 4
	cr4PAE  = 1 << 5
	cr4LA57 = 1 << 12

	x86Present = 1 << 0
	x86Large   = 1 << 7             // in all but the last table
	x86Frame   = 0xf_ffff_ffff_f000 // bits 51 to 12 of an entry of 8 bytes
)

// x86Table is a level of page tables.
type x86Table struct {
	name  string
	shift uint // of an entry's part of the address
	bits  uint // of the address that index it
	large bool // an entry may be a page
}

var (
	x86Long = []x86Table{
		{"PML5", 48, 9, false}, {"PML4", 39, 9, false},
		{"page directory pointer table", 30, 9, true}, {"page directory", 21, 9, true}, {"page table", 12, 9, false},
	}
	x86PAE    = []x86Table{{"page directory pointer table", 30, 2, false}, x86Long[3], x86Long[4]}
	x86Legacy = []x86Table{{"page directory", 22, 10, true}, {"page table", 12, 10, false}}
)

// tables are the levels in use, the physical address of the first table, and
// the bytes of an entry.
func (p X86Paging) tables() (levels []x86Table, root uint64, entry int) {
	switch {
	case p.CR4&cr4PAE == 0:
		return x86Legacy, p.a20(p.CR3 & 0xffff_f000), 4
	case !p.LongMode:
		return x86PAE, p.a20(p.CR3 & 0xffff_ffe0), 8
	case p.CR4&cr4LA57 == 0:
		return x86Long[1:], p.a20(p.CR3 & x86Frame), 8
	}
	return x86Long, p.a20(p.CR3 & x86Frame), 8
}

// a20 is a physical address as it leaves the processor.
func (p X86Paging) a20(pa uint64) uint64 {
	if p.A20Mask == 0 {
		return pa
	}
	return pa & p.A20Mask
}

// Enabled reports whether paging is on.
func (p X86Paging) Enabled() bool { return p.CR0&cr0PG != 0 }

// VirtualBits is the width of virtual addresses: 32, 48 or 57.
func (p X86Paging) VirtualBits() uint {
	levels, _, _ := p.tables()
	return levels[0].shift + levels[0].bits
}

// canonical is a virtual address of VirtualBits bits in 64.
func (p X86Paging) canonical(va uint64) uint64 {
	bits := p.VirtualBits()
	if bits == 32 {
		return va & 0xffff_ffff
	}
	return uint64(int64(va<<(64-bits)) >> (64 - bits))
}

// leaf is the page that an entry of a level is, ok is false if it is a table.
func (p X86Paging) leaf(l x86Table, entry, va uint64) (Page, bool) {
	large := l.large && entry&x86Large != 0
	legacy := l.shift == 22
	if legacy && p.CR4&cr4PSE == 0 {
		large = false
	}
	if l.shift != 12 && !large {
		return Page{}, false
	}
	size := uint64(1) << l.shift
	phys := entry & x86Frame &^ (size - 1)
	if legacy {
		phys = entry&0xffc0_0000 | entry&0x1f_e000<<19 // PSE-36: bits 39 to 32
	}
	return Page{Virt: va &^ (size - 1), Phys: p.a20(phys), Size: size}, true
}

// Translate finds the page that holds a virtual address, see [Paging].
func (p X86Paging) Translate(mem io.ReaderAt, va uint64) (Page, error) {
	if !p.Enabled() {
		page := identity(va)
		page.Phys = p.a20(page.Phys)
		return page, nil
	}
	if p.canonical(va) != va {
		return Page{}, &UnmappedError{Addr: va}
	}
	levels, table, size := p.tables()
	for _, l := range levels {
		entry, err := tableEntry(mem, binary.LittleEndian, table, va>>l.shift&(1<<l.bits-1), size)
		if err != nil {
			return Page{}, fmt.Errorf("%s: %w", l.name, err)
		}
		if entry&x86Present == 0 {
			return Page{}, &UnmappedError{va, l.name}
		}
		if page, ok := p.leaf(l, entry, va); ok {
			return page, nil
		}
		table = p.a20(entry & x86Frame)
	}
	panic("the last level has pages only")
}

// ErrTooManyTables means that page tables have no end in sight: they lead back
// to themselves more often than any operating system's do.
var ErrTooManyTables = errors.New("too many page tables")

// maxX86Tables bounds a walk: twice what maps 64 TiB by pages of 4 KiB.
const maxX86Tables = 1 << 26

// Walk visits every page that the tables map, in the order of its virtual
// address, with the entry that maps it. Physical addresses that are none come
// as they are. An error of mem or of visit ends it.
func (p X86Paging) Walk(ctx context.Context, mem io.ReaderAt, visit func(page Page, entry uint64) error) error {
	if !p.Enabled() {
		return nil
	}
	levels, root, size := p.tables()
	w := x86Walk{X86Paging: p, ctx: ctx, mem: mem, visit: visit, entry: size, left: maxX86Tables}
	return w.table(levels, root, 0)
}

// x86Walk is a walk under way.
type x86Walk struct {
	X86Paging
	ctx   context.Context
	mem   io.ReaderAt
	visit func(Page, uint64) error
	entry int // bytes
	left  int // tables that may be read
}

// table walks the table of levels[0] at pa, which maps what is at va.
func (w *x86Walk) table(levels []x86Table, pa, va uint64) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if w.left--; w.left < 0 {
		return fmt.Errorf("%w: over %d were read", ErrTooManyTables, maxX86Tables)
	}
	l := levels[0]
	var buf [4096]byte
	table := buf[:w.entry<<l.bits]
	if n, err := w.mem.ReadAt(table, int64(pa)); n < len(table) {
		return fmt.Errorf("%s at %#x: %w", l.name, pa, err)
	}
	for i := range uint64(1) << l.bits {
		var entry uint64
		if w.entry == 4 {
			entry = uint64(binary.LittleEndian.Uint32(table[4*i:]))
		} else {
			entry = binary.LittleEndian.Uint64(table[8*i:])
		}
		if entry&x86Present == 0 {
			continue
		}
		at := va | i<<l.shift
		if page, ok := w.leaf(l, entry, at); ok {
			page.Virt = w.canonical(page.Virt)
			if err := w.visit(page, entry); err != nil {
				return err
			}
			continue
		}
		if err := w.table(levels[1:], w.a20(entry&x86Frame), at); err != nil {
			return err
		}
	}
	return nil
}
