package arch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// tree makes page tables for one processor: each level is told by the bits of
// an address that index it, from the first table on.
type tree struct {
	physical
	order  binary.ByteOrder
	root   uint64
	next   uint64 // where the next table goes
	step   uint64 // bytes from a table to the next
	levels []uint // the lowest bit of the part of an address that indexes each table
	top    uint   // bits of an address
	size   int    // of an entry, bytes
	none   uint64 // an entry that leads nowhere
	// table and page are the entries for a table and for a page of a level.
	table, page func(level int, pa uint64) uint64
}

// add maps a page at the level, counted from the first table; it reports false
// where something is mapped already.
func (x *tree) add(va, pa uint64, level int) bool {
	table, high := x.root, x.top
	for i, shift := range x.levels {
		at := table + va>>shift&(1<<(high-shift)-1)*uint64(x.size)
		high = shift
		entry := x.get(x.order, at, x.size)
		if i == level {
			if entry != x.none {
				return false
			}
			x.put(x.order, at, x.size, x.page(level, pa))
			return true
		}
		if entry == x.none {
			x.fill(x.next)
			entry = x.table(i, x.next)
			x.next += x.step
			x.put(x.order, at, x.size, entry)
		}
		for a := x.root; ; a += x.step { // which table is that?
			if a >= x.next {
				return false // a page
			}
			if x.table(i, a) == entry {
				table = a
				break
			}
		}
	}
	panic("no such level")
}

// fill makes a table without entries.
func (x *tree) fill(pa uint64) {
	for a := pa; a < pa+x.step; a += uint64(x.size) {
		x.put(x.order, a, x.size, x.none)
	}
}

// random maps pages at random, below most in physical memory, and asks for
// each. whole makes an address of the bits that index tables.
func (x *tree) random(t *testing.T, p Paging, whole func(va uint64) uint64, leaves []int, most uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(x.root, uint64(x.top)))
	x.fill(x.root)
	var pages []Page
	for range 400 {
		level := leaves[r.IntN(len(leaves))]
		size := uint64(1) << x.levels[level]
		va := r.Uint64() & (1<<x.top - 1) &^ (size - 1)
		if len(pages) > 0 && r.IntN(2) == 0 { // near another
			va = (pages[r.IntN(len(pages))].Virt + uint64(r.IntN(3))*size) & (1<<x.top - 1) &^ (size - 1)
		}
		pa := r.Uint64N(most) &^ (size - 1)
		if x.add(va, pa, level) {
			pages = append(pages, Page{whole(va), pa, size})
		}
	}
	if len(pages) < 50 {
		t.Fatalf("only %d pages", len(pages))
	}
	for _, page := range pages {
		for _, va := range []uint64{page.Virt, page.Virt + page.Size - 1, page.Virt + r.Uint64N(page.Size)} {
			got, err := p.Translate(x, va)
			if err != nil || got != page {
				t.Fatalf("Translate(%#x) = %#x, %v; want %#x", va, got, err, page)
			}
		}
	}
	unmapped := 0
	for range 1000 {
		va := whole(r.Uint64() & (1<<x.top - 1))
		var none *UnmappedError
		if _, err := p.Translate(x, va); errors.As(err, &none) && none.Addr == va && none.Table != "" {
			unmapped++
		} else if err != nil {
			t.Fatalf("%#x: %v", va, err)
		}
	}
	if unmapped < 100 {
		t.Errorf("of 1000 addresses %d are not mapped", unmapped)
	}
}

func TestARM64Paging(t *testing.T) {
	for _, x := range []struct {
		granule, bits uint
		levels        []uint
		tg0, tg1      uint64
		leaves        []int
	}{
		{12, 48, []uint{39, 30, 21, 12}, 0, 2, []int{1, 2, 3}},
		{12, 39, []uint{30, 21, 12}, 0, 2, []int{0, 1, 2}},
		{12, 36, []uint{30, 21, 12}, 0, 2, []int{1, 2}},
		{12, 52, []uint{48, 39, 30, 21, 12}, 0, 2, []int{2, 3, 4}},
		{12, 49, []uint{48, 39, 30, 21, 12}, 0, 2, []int{2, 3, 4}},
		{14, 52, []uint{47, 36, 25, 14}, 2, 1, []int{1, 2, 3}},
		{14, 47, []uint{36, 25, 14}, 2, 1, []int{1, 2}},
		{14, 48, []uint{47, 36, 25, 14}, 2, 1, []int{2, 3}},
		{16, 42, []uint{29, 16}, 1, 3, []int{0, 1}},
		{16, 48, []uint{42, 29, 16}, 1, 3, []int{1, 2}},
		{16, 52, []uint{42, 29, 16}, 1, 3, []int{1, 2}},
	} {
		for _, upper := range []bool{false, true} {
			for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				t.Run(fmt.Sprintf("%d KiB, %d bits, upper %v, %v", 1<<(x.granule-10), x.bits, upper, order), func(t *testing.T) {
					m := tree{physical: physical{}, order: order, root: 0x4000_0000, next: 0x4001_0000, step: 64 << 10, levels: x.levels, top: x.bits, size: 8}
					m.table = func(_ int, pa uint64) uint64 { return pa | 3 | 1<<59 }
					m.page = func(level int, pa uint64) uint64 {
						kind := uint64(1)
						if level == len(x.levels)-1 {
							kind = 3
						}
						switch {
						case x.granule == 16:
							pa = pa&(1<<48-1) | pa>>48<<12
						case x.bits > 48: // DS
							pa = pa&(1<<50-1) | pa>>50<<8
						}
						return pa | kind | 1<<54 | 1<<10 // no execution, accessed
					}
					p := ARM64Paging{SCTLR: 1}
					if order == binary.BigEndian {
						p.SCTLR |= 1 << 25
					}
					size := 64 - uint64(x.bits)
					var sign uint64
					if upper {
						p.TCR, p.TTBR1, sign = size<<16|x.tg1<<30|1<<5, m.root|0x12<<48, ^uint64(0)<<x.bits
					} else {
						p.TCR, p.TTBR0 = size|x.tg0<<14|63<<16, m.root|0x12<<48|1
					}
					if x.bits > 48 && x.granule < 16 {
						p.TCR |= 1 << 59 // DS
					}
					if x.bits > 48 { // bits of the table's address where the number of the space was
						p.TTBR0, p.TTBR1 = p.TTBR0&(1<<48-1), p.TTBR1&(1<<48-1)
					}
					most := uint64(1) << 48
					if x.granule == 16 || x.bits > 48 {
						most = 1 << 52
					}
					m.random(t, p, func(va uint64) uint64 { return va | sign }, x.leaves, most)
				})
			}
		}
	}
}

func TestARM64PagingOutside(t *testing.T) {
	p := ARM64Paging{SCTLR: 1, TCR: 16 | 16<<16 | 2<<30 | 1<<37}
	for _, va := range []uint64{0x0001_0000_0000_0000, 0xfffe_ffff_ffff_ffff, 0x1280_0000_0000_0000} {
		var none *UnmappedError
		if _, err := p.Translate(physical{}, va); !errors.As(err, &none) || none.Table != "" {
			t.Errorf("%#x: %v", va, err)
		}
	}
	if _, err := p.Translate(physical{}, 0x1200_0000_0000_1000); !errors.Is(err, errNoPage) {
		t.Errorf("a tag in the upper byte: %v", err) // the table is read, and is not there
	}
	if _, err := (ARM64Paging{SCTLR: 1, TCR: 63 | 3<<14}).Translate(physical{}, 0); err == nil {
		t.Error("no such granule")
	}
	if page, err := (ARM64Paging{}).Translate(physical{}, 0x1234); err != nil || page != (Page{0x1000, 0x1000, 4096}) {
		t.Errorf("the MMU is off: %v, %v", page, err)
	}
}

func TestS390XPaging(t *testing.T) {
	all := []uint{53, 42, 31, 20, 12}
	for first := range 4 {
		t.Run(s390xTables[first].name, func(t *testing.T) {
			levels := all[3-first:]
			m := tree{physical: physical{}, order: binary.BigEndian, root: 0x1000_0000, next: 0x1000_4000, step: 16 << 10, levels: levels, top: min(64, levels[0]+11), size: 8, none: 0x420}
			m.table = func(level int, pa uint64) uint64 { return pa | uint64(len(levels)-2-level)<<2 | 3 }
			m.page = func(level int, pa uint64) uint64 {
				if levels[level] == 12 {
					return pa
				}
				return pa | 0x400
			}
			leaves := []int{len(levels) - 1, len(levels) - 2}
			if first > 0 {
				leaves = append(leaves, len(levels)-3)
			}
			p := S390XPaging{m.root | uint64(first)<<2 | 3}
			m.random(t, p, func(va uint64) uint64 { return va }, leaves, 1<<50)
			if first < 3 {
				var none *UnmappedError
				if _, err := p.Translate(m, 1<<m.top); !errors.As(err, &none) || none.Table != "" {
					t.Errorf("an address that the first table cannot have: %v", err)
				}
			}
		})
	}
	s := &S390X{PSWMask: 1<<(63-5) | 3<<(63-17)}
	s.Control[13] = 0xabc000
	if s.Paging() != (S390XPaging{0xabc000}) {
		t.Errorf("home space: %#x", s.Paging())
	}
	s.PSWMask = 0
	if page, err := s.Paging().Translate(physical{}, 0x5678); err != nil || page.Phys != 0x5000 {
		t.Errorf("no translation: %v, %v", page, err)
	}
}

func TestPPC64Paging(t *testing.T) {
	for name, levels := range map[string][]uint{"4 KiB": {39, 30, 21, 12}, "64 KiB": {39, 30, 21, 16}} {
		for _, upper := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, upper %v", name, upper), func(t *testing.T) {
				const processes, partitions, pid = 0x3000_0000, 0x2000_0000, 77
				bits := func(level int) uint64 { // that index the table of a level
					if level == 0 {
						return 13
					}
					return uint64(levels[level-1] - levels[level])
				}
				m := tree{physical: physical{}, order: binary.BigEndian, root: 0x4000_0000, next: 0x4001_0000, step: 64 << 10, levels: levels, top: 52, size: 8}
				m.table = func(level int, pa uint64) uint64 { return 1<<63 | pa | bits(level+1) }
				m.page = func(_ int, pa uint64) uint64 { return 3<<62 | 1<<61 | pa | 0x18f } // software's bit, accessed, rights
				p := PPC64Paging{ProcessTable: 1<<63 | processes | 12, PID: pid}
				sign, who := uint64(0), uint64(pid)
				if upper {
					sign, who = 3<<62, 0
				}
				m.put(binary.BigEndian, processes+16*who, 8, 2<<61|5<<5|m.root|bits(0)) // 52 bits are 31, 16 and 5
				m.random(t, p, func(va uint64) uint64 { return va | sign }, []int{1, 2, 3}, 1<<56)

				va := m.next<<20&(1<<52-1) | sign
				want, wantErr := p.Translate(m, va)
				m.put(binary.BigEndian, partitions, 8, 1<<63)
				m.put(binary.BigEndian, partitions+8, 8, processes|12)
				p.ProcessTable, p.PartitionTable = 0, partitions|4
				if page, err := p.Translate(m, va); page != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Errorf("by the partition table: %v, %v; want %v, %v", page, err, want, wantErr)
				}
				m.put(binary.BigEndian, partitions, 8, 0)
				if _, err := p.Translate(m, va); err == nil {
					t.Error("hashed tables were walked")
				}
			})
		}
	}
	m := physical{}
	p := PPC64Paging{ProcessTable: 1<<63 | 0x1000, PID: 1 << 8} // a table of 4 KiB has 256 entries
	for _, va := range []uint64{1 << 62, 2 << 62, 0, 3<<62 | 1<<52} {
		m.put(binary.BigEndian, 0x1000, 8, 2<<61|5<<5|0x10000|13)
		var none *UnmappedError
		if _, err := p.Translate(m, va); !errors.As(err, &none) {
			t.Errorf("%#x: %v", va, err)
		}
	}
	for _, entry := range []uint64{0, 2<<61 | 5<<5 | 0x10000, 0x10000 | 31} { // no bits, or more than there are
		m.put(binary.BigEndian, 0x1000, 8, entry)
		if page, err := p.Translate(m, 3<<62); err == nil {
			t.Errorf("entry %#x of the process table leads to %v", entry, page)
		}
	}
	s := &PPC64{MSR: 1 << 63, ProcessTable: 1 << 63}
	if page, err := s.Paging().Translate(m, 0xc000_0000_0000_5678); err != nil || page != (Page{0xc000_0000_0000_5000, 0x5000, 4096}) {
		t.Errorf("real mode: %#x, %v", page, err)
	}
	if s.ProcessTable = 0x1000; s.Paging() != nil {
		t.Error("hashed tables are taken for radix ones")
	}
}

func TestRISCVPaging(t *testing.T) {
	for mode, levels := range map[uint64][]uint{8: {30, 21, 12}, 9: {39, 30, 21, 12}, 10: {48, 39, 30, 21, 12}, 1: {22, 12}} {
		t.Run(fmt.Sprintf("mode %d", mode), func(t *testing.T) {
			m := tree{physical: physical{}, order: binary.LittleEndian, root: 0x8000_0000, next: 0x8000_1000, step: 4096, levels: levels, top: levels[0] + 9, size: 8}
			p, leaves, most := RISCVPaging{SATP: mode<<60 | m.root>>12 | 7<<44}, []int{0, 1, 2}, uint64(1)<<56
			attributes := uint64(1) << 61 // of a page: not cached
			if mode == 1 {
				m.size, m.top = 4, 32
				p, leaves, most, attributes = RISCVPaging{SATP: 1<<31 | m.root>>12, Narrow: true}, []int{0, 1}, 1<<34, 0
			}
			m.table = func(_ int, pa uint64) uint64 { return pa>>12<<10 | 1 }
			m.page = func(_ int, pa uint64) uint64 { return pa>>12<<10 | 0xcf | attributes }
			m.random(t, p, func(va uint64) uint64 {
				if mode == 1 {
					return va
				}
				return uint64(int64(va<<(64-m.top)) >> (64 - m.top))
			}, leaves, most)
		})
	}
	if _, err := (RISCVPaging{SATP: 3 << 60}).Translate(physical{}, 0); err == nil {
		t.Error("a mode that is none")
	}
	if page, err := (RISCVPaging{}).Translate(physical{}, 0x1234); err != nil || page.Phys != 0x1000 {
		t.Errorf("no translation: %v, %v", page, err)
	}
	m := physical{}
	m.put(binary.LittleEndian, 0x1000, 8, 0x2000>>2|1)
	m.put(binary.LittleEndian, 0x2000, 8, 0x3000>>2|1)
	m.put(binary.LittleEndian, 0x3000+3*8, 8, 0x5_8000>>2|0xf|1<<63) // number ends in 1000: 64 KiB
	if page, err := (RISCVPaging{SATP: 8<<60 | 1}).Translate(m, 0x3abc); err != nil || page != (Page{0, 0x5_0000, 64 << 10}) {
		t.Errorf("a page of 64 KiB: %#x, %v", page, err)
	}
}
