package arch

import (
	"encoding/binary"
	"io"
)

// S390XPaging is what decides how a z/Architecture processor translates
// addresses: an address-space control element. Real addresses below 8 KiB,
// which prefixing moves, are taken as they are.
type S390XPaging struct{ ASCE uint64 }

// Paging is how the processor translates addresses of instructions: in the
// address space that the PSW names, if dynamic address translation is on.
func (s *S390X) Paging() Paging {
	const translation = 1 << (63 - 5)
	if s.PSWMask&translation == 0 {
		return S390XPaging{asceReal}
	}
	space := s.PSWMask >> (63 - 17) & 3 // primary, access register, secondary, home
	return S390XPaging{s.Control[[4]int{1, 1, 7, 13}[space]]}
}

// Bits of address-space control elements and of entries (Principles of
// Operation, dynamic address translation).
const (
	asceReal = 0x20 // the space is real storage
	asceType = 0x0c // of the first table

	datInvalid  = 0x20  // of regions and segments
	pageInvalid = 0x400 // of pages
	datLarge    = 0x400 // a region or a segment is a page
)

// s390xTables are the tables, by the type in the control element.
var s390xTables = []struct {
	name  string
	shift uint
	mask  uint64 // of the index
	next  uint64 // of an entry: the address of the next table
	large bool   // an entry may be a page
}{
	{"segment table", 20, 0x7ff, ^uint64(0x7ff), true},
	{"region-third table", 31, 0x7ff, ^uint64(0xfff), true},
	{"region-second table", 42, 0x7ff, ^uint64(0xfff), false},
	{"region-first table", 53, 0x7ff, ^uint64(0xfff), false},
}

// Translate finds the page that holds a virtual address, see [Paging].
func (p S390XPaging) Translate(mem io.ReaderAt, va uint64) (Page, error) {
	if p.ASCE&asceReal != 0 {
		return identity(va), nil
	}
	first := int(p.ASCE & asceType >> 2)
	if first < 3 && va>>(s390xTables[first].shift+11) != 0 {
		return Page{}, &UnmappedError{Addr: va}
	}
	table := p.ASCE &^ 0xfff
	for i := first; i >= 0; i-- {
		t := s390xTables[i]
		entry, err := tableEntry(mem, binary.BigEndian, table, va>>t.shift&t.mask, 8)
		if err != nil {
			return Page{}, err
		}
		if entry&datInvalid != 0 {
			return Page{}, &UnmappedError{va, t.name}
		}
		if t.large && entry&datLarge != 0 {
			size := uint64(1) << t.shift
			return Page{Virt: va &^ (size - 1), Phys: entry &^ (size - 1), Size: size}, nil
		}
		table = entry & t.next
	}
	entry, err := tableEntry(mem, binary.BigEndian, table, va>>12&0xff, 8)
	if err != nil {
		return Page{}, err
	}
	if entry&pageInvalid != 0 {
		return Page{}, &UnmappedError{va, "page table"}
	}
	return Page{Virt: va &^ 0xfff, Phys: entry &^ 0xfff, Size: 1 << 12}, nil
}
