package arch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// physical is physical memory: pages of 4 KiB by number.
type physical map[uint64]*[4096]byte

// errNoPage is what a read beside memory gives.
var errNoPage = errors.New("no memory")

func (m physical) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		a := uint64(off) + uint64(n)
		page, ok := m[a>>12]
		if !ok {
			return n, fmt.Errorf("%#x: %w", a, errNoPage)
		}
		n += copy(p[n:], page[a&4095:])
	}
	return len(p), nil
}

// put stores an entry of 4 or 8 bytes.
func (m physical) put(order binary.ByteOrder, a uint64, size int, entry uint64) {
	page := m[a>>12]
	if page == nil {
		page = new([4096]byte)
		m[a>>12] = page
	}
	if size == 4 {
		order.PutUint32(page[a&4095:], uint32(entry))
	} else {
		order.PutUint64(page[a&4095:], entry)
	}
}

func (m physical) get(order binary.ByteOrder, a uint64, size int) uint64 {
	page := m[a>>12]
	switch {
	case page == nil:
		return 0
	case size == 4:
		return uint64(order.Uint32(page[a&4095:]))
	}
	return order.Uint64(page[a&4095:])
}

// x86Mode is a way of paging, told in the words of the manual and not of the
// code: the bits of an address that index each table, from the first on.
type x86Mode struct {
	name   string
	p      X86Paging
	shifts []uint // of each table's part of the address
	top    uint   // bits of an address
	size   int    // of an entry, bytes
	large  []uint // shifts whose entries may be pages
}

const cr3 = 0x7000_0000

var x86Modes = []x86Mode{
	{"32-bit", X86Paging{CR0: 1 << 31, CR3: cr3 | 0x18}, []uint{22, 12}, 32, 4, nil},
	{"32-bit with PSE", X86Paging{CR0: 1 << 31, CR3: cr3, CR4: 1 << 4}, []uint{22, 12}, 32, 4, []uint{22}},
	{"PAE", X86Paging{CR0: 1 << 31, CR3: cr3 | 0x20, CR4: 1 << 5}, []uint{30, 21, 12}, 32, 8, []uint{21}},
	{"4 levels", X86Paging{CR0: 1 << 31, CR3: cr3 | 0x18, CR4: 1<<5 | 1<<4, LongMode: true}, []uint{39, 30, 21, 12}, 48, 8, []uint{30, 21}},
	{"5 levels", X86Paging{CR0: 1 << 31, CR3: cr3, CR4: 1<<5 | 1<<12, LongMode: true}, []uint{48, 39, 30, 21, 12}, 57, 8, []uint{30, 21}},
}

// add maps a page of 1<<shift bytes, making the tables it needs; it reports
// false where something is mapped already.
func (x x86Mode) add(m physical, next *uint64, va, pa uint64, shift uint) bool {
	le := binary.LittleEndian
	table := uint64(cr3)
	if x.name == "PAE" {
		table |= 0x20 // the first table is 32 bytes
	}
	high := x.top
	for _, s := range x.shifts {
		at := table + va>>s&(1<<(high-s)-1)*uint64(x.size)
		high = s
		entry := m.get(le, at, x.size)
		if s == shift {
			if entry != 0 {
				return false
			}
			entry = pa | 1
			switch {
			case s == 22: // bits 39 to 32 are stored at 20 to 13
				entry = pa&0xffc0_0000 | pa>>32<<13 | 0x81
			case s > 12:
				entry |= 1<<7 | 1<<12 // a bit of the memory type
			}
			if x.size == 8 {
				entry |= 1 << 63 // no execution
			}
			m.put(le, at, x.size, entry)
			return true
		}
		if entry == 0 {
			entry = *next | 1
			*next += 4096
			m.put(le, at, x.size, entry)
			m.put(le, entry&^0xfff, 4, 0)
		} else if entry>>7&1 == 1 {
			return false
		}
		table = entry &^ 0xfff
	}
	panic("no such page size")
}

// TestX86Paging maps pages at random, in all modes and of all sizes, and asks
// for them one by one and all together.
func TestX86Paging(t *testing.T) {
	for _, x := range x86Modes {
		t.Run(x.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(x.top)))
			m, next := physical{}, uint64(0x1000_0000)
			m.put(binary.LittleEndian, cr3, 4, 0)
			var want []Page
			for range 500 {
				shift := x.shifts[len(x.shifts)-1]
				if len(x.large) > 0 && r.IntN(3) == 0 {
					shift = x.large[r.IntN(len(x.large))]
				}
				va := r.Uint64() >> (64 - x.top) &^ (1<<shift - 1)
				if r.IntN(2) == 0 && len(want) > 0 { // near another
					va = (want[r.IntN(len(want))].Virt&(1<<x.top-1) + uint64(r.IntN(3))<<shift) & (1<<x.top - 1) &^ (1<<shift - 1)
				}
				pa := r.Uint64() & 0xf_ffff_ffff_f000
				switch {
				case x.size == 4 && shift == 22:
					pa &= 0xff_ffff_ffff
				case x.size == 4:
					pa &= 0xffff_ffff
				}
				pa &^= 1<<shift - 1
				if !x.add(m, &next, va, pa, shift) {
					continue
				}
				if x.top > 32 && va>>(x.top-1) == 1 {
					va |= ^uint64(0) << x.top
				}
				want = append(want, Page{va, pa, 1 << shift})
			}
			for _, page := range want {
				for _, va := range []uint64{page.Virt, page.Virt + page.Size - 1, page.Virt + r.Uint64N(page.Size)} {
					got, err := x.p.Translate(m, va)
					if err != nil || got != page || got.At(va)-page.Phys != va-page.Virt {
						t.Fatalf("Translate(%#x) = %#x, %v; want %#x", va, got, err, page)
					}
				}
			}
			slices.SortFunc(want, func(a, b Page) int { // as the tables have them
				low := uint64(1)<<x.top - 1
				return int(int64(a.Virt&low) - int64(b.Virt&low))
			})
			var got []Page
			err := x.p.Walk(t.Context(), m, func(p Page, entry uint64) error {
				if entry&1 == 0 {
					t.Errorf("entry %#x is not of a page", entry)
				}
				got = append(got, p)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Walk: want (-), got (+)\n%s", diff)
			}
		})
	}
}

func TestX86PagingUnmapped(t *testing.T) {
	x := x86Modes[3]
	m, next := physical{}, uint64(0x1000_0000)
	x.add(m, &next, 0x1000, 0x5000, 12)
	for va, table := range map[uint64]string{
		0x2000: "page table", 0x20_0000: "page directory", 0x4000_0000: "page directory pointer table",
		0x80_0000_0000: "PML4", 0x8000_0000_0000: "", 0xfffe_ffff_ffff_ffff: "",
	} {
		_, err := x.p.Translate(m, va)
		var unmapped *UnmappedError
		if !errors.As(err, &unmapped) || unmapped.Addr != va || unmapped.Table != table {
			t.Errorf("%#x: %v, want an UnmappedError with %q", va, err, table)
		}
	}
	m.put(binary.LittleEndian, cr3+8, 8, 0x66_6666_6001) // a table where no memory is
	if _, err := x.p.Translate(m, 0x80_0000_0000); !errors.Is(err, errNoPage) {
		t.Errorf("a table that cannot be read: %v", err)
	}
	if err := x.p.Walk(t.Context(), m, func(Page, uint64) error { return nil }); !errors.Is(err, errNoPage) {
		t.Errorf("a walk to a table that cannot be read: %v", err)
	}
	if _, err := x.p.Translate(eof{}, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a table behind the end: %v", err)
	}
	off := X86Paging{CR3: cr3, A20Mask: ^uint64(1 << 20)}
	if p, err := off.Translate(m, 0x10_1234); err != nil || p.At(0x10_1234) != 0x1234 {
		t.Errorf("without paging and with A20 off: %#x, %v", p, err)
	}
	if err := off.Walk(t.Context(), m, nil); err != nil {
		t.Errorf("a walk without paging: %v", err)
	}
}

type eof struct{}

func (eof) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

// TestX86PagingA20 has a processor that cannot put out address bit 20: its
// tables and its pages lie 1 MiB lower.
func TestX86PagingA20(t *testing.T) {
	m := physical{}
	m.put(binary.LittleEndian, 0x20_0000, 4, 0x30_1001) // leads to 0x20_1000
	m.put(binary.LittleEndian, 0x20_1004, 4, 0x73_5001)
	p := X86Paging{CR0: 1 << 31, CR3: 0x30_0000, A20Mask: ^uint64(1 << 20)}
	want := Page{0x1000, 0x63_5000, 4096}
	if got, err := p.Translate(m, 0x1abc); err != nil || got != want {
		t.Errorf("%#x, %v; want %#x", got, err, want)
	}
	if err := p.Walk(t.Context(), m, func(got Page, _ uint64) error {
		if got != want {
			t.Errorf("the walk finds %#x, want %#x", got, want)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestX86PagingCycle walks a table all of whose entries lead back to it: there
// is an end to it, and the caller can make it come sooner.
func TestX86PagingCycle(t *testing.T) {
	m, p := physical{}, x86Modes[4].p
	for i := range uint64(512) {
		m.put(binary.LittleEndian, cr3+8*i, 8, cr3|1)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	pages := 0
	err := p.Walk(ctx, m, func(Page, uint64) error {
		if pages++; pages == 100_000 {
			cancel(stop)
		}
		return nil
	})
	if !errors.Is(err, stop) || pages > 100_000+512 {
		t.Errorf("%d pages, %v", pages, err)
	}
	if page, err := p.Translate(m, 0); err != nil || page.Phys != cr3 {
		t.Errorf("%#x, %v", page, err)
	}
	w := x86Walk{X86Paging: p, ctx: t.Context(), mem: m, visit: func(Page, uint64) error { return nil }, entry: 8, left: 1000}
	levels, root, _ := p.tables()
	if err := w.table(levels, root, 0); !errors.Is(err, ErrTooManyTables) {
		t.Errorf("a walk of more tables than allowed: %v", err)
	}
}
