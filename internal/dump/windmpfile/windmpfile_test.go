package windmpfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/arch"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/windmpfile"
	"guestcore/internal/guest"
	"guestcore/test/winguest"
)

// kinds are the guests that tests make.
var kinds = map[string]winguest.Kind{
	"x64":         {Wide: true},
	"x64 encoded": {Wide: true, Encoded: true},
	"x86 PAE":     {PAE: true, Encoded: true},
	"x86":         {},
}

// memory is what lies at a guest-physical address: of the guest's image, of
// zeros around it, or nothing.
func memory(image []byte, page uint64) []byte {
	at := int64(page*windmpfile.PageSize) - winguest.Base
	if at < 0 || at >= int64(len(image)) {
		return make([]byte, windmpfile.PageSize)
	}
	return image[at:][:windmpfile.PageSize]
}

// complete is a complete dump of a guest.
func complete(g *winguest.Guest, image []byte) []byte {
	b := bytes.Clone(g.Header)
	for _, r := range winguest.Runs {
		for i := range r.Count {
			b = append(b, memory(image, r.Base+i)...)
		}
	}
	return b
}

// short is a complete dump of the guest's image alone.
func short(g *winguest.Guest) []byte {
	g.SetRuns([]winguest.Run{{Base: winguest.Base / windmpfile.PageSize, Count: 256}})
	image := g.Image()
	return append(bytes.Clone(g.Header), image...)
}

// nowhere is an address that nothing is mapped to.
const nowhere = 0xfffff900_00000000

// withBitmap is a dump with a bitmap of the pages that has says; swapped has
// the numbers of pages and of bits the other way round, listed the runs that
// Windows had in the header.
func withBitmap(g *winguest.Guest, image []byte, has func(page uint64) bool, swapped, listed bool) []byte {
	h := bytes.Clone(g.Header)
	le := binary.LittleEndian
	kind, runs := 0xf88, 0x64
	if g.Wide {
		kind, runs = 0xf98, 0x88
	}
	le.PutUint32(h[kind:], 5)
	if !listed {
		copy(h[runs:], "PAGE")
	}
	const count = winguest.MemorySize/windmpfile.PageSize + 5
	var pages []byte
	bitmap := make([]byte, (count+7)/8)
	for page := range uint64(count) {
		if has(page) {
			bitmap[page/8] |= 1 << (page % 8)
			pages = append(pages, memory(image, page)...)
		}
	}
	summary := make([]byte, 0x38)
	copy(summary, "SDMPDUMP")
	first := (len(h) + len(summary) + len(bitmap) + 4095) &^ 4095
	le.PutUint64(summary[0x20:], uint64(first))
	numbers := []uint64{uint64(len(pages) / windmpfile.PageSize), count}
	if swapped {
		numbers[0], numbers[1] = numbers[1], numbers[0]
	}
	le.PutUint64(summary[0x28:], numbers[0])
	le.PutUint64(summary[0x30:], numbers[1])
	b := append(append(h, summary...), bitmap...)
	return append(append(b, make([]byte, first-len(b))...), pages...)
}

func open(t testing.TB, b []byte) (*windmpfile.File, *guest.Image) {
	t.Helper()
	f, err := windmpfile.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Image()
	if err != nil {
		t.Fatal(err)
	}
	return f, im
}

// check reads all that a dump is to have.
func check(t *testing.T, im *guest.Image, image []byte, has func(page uint64) bool) {
	t.Helper()
	p := make([]byte, windmpfile.PageSize)
	for page := range uint64(winguest.MemorySize/windmpfile.PageSize + 8) {
		_, err := im.ReadAt(p, int64(page*windmpfile.PageSize))
		switch {
		case has(page) != (err == nil):
			t.Fatalf("page %#x: %v", page, err)
		case err == nil && !bytes.Equal(p, memory(image, page)):
			t.Fatalf("page %#x has other bytes", page)
		}
	}
}

func inRuns(page uint64) bool {
	for _, r := range winguest.Runs {
		if page >= r.Base && page < r.Base+r.Count {
			return true
		}
	}
	return false
}

// Both forms give the guest's memory, and the header that a complete dump has.
func TestMemory(t *testing.T) {
	for name, kind := range kinds {
		g := winguest.New(kind)
		image := g.Image()
		t.Run(name, func(t *testing.T) {
			f, im := open(t, complete(g, image))
			check(t, im, image, inRuns)
			if h, err := f.CompleteHeader(); err != nil || !bytes.Equal(h, g.Header) {
				t.Errorf("the header is another one: %v", err)
			}
		})
		for _, swapped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bitmap %v", name, swapped), func(t *testing.T) {
				some := func(page uint64) bool { return inRuns(page) && page%5 != 0 }
				f, im := open(t, withBitmap(g, image, some, swapped, true))
				check(t, im, image, some)
				if h, err := f.CompleteHeader(); err != nil || !bytes.Equal(h, g.Header) {
					t.Errorf("the header of a complete dump is another one: %v", err)
				}
				if im.Size() != sizeOfRuns() {
					t.Errorf("the guest had %#x bytes", im.Size())
				}
				f, im = open(t, withBitmap(g, image, inRuns, swapped, false))
				check(t, im, image, inRuns)
				if h, err := f.CompleteHeader(); err != nil || !bytes.Equal(h, g.Header) {
					t.Errorf("the header of a complete dump, made without a list, is another one: %v\n%s", err, cmp.Diff(g.Header, h))
				}
				f, _ = open(t, withBitmap(g, image, some, swapped, false))
				if _, err := f.CompleteHeader(); err == nil || !strings.Contains(err.Error(), "pieces") {
					t.Errorf("more pieces than a header can list: %v", err)
				}
			})
		}
	}
}

func sizeOfRuns() (n uint64) {
	for _, r := range winguest.Runs {
		n += r.Count * windmpfile.PageSize
	}
	return n
}

// state gives a processor registers: those of a CONTEXT, and what Windows saved
// with it.
func state(g *winguest.Guest, i int) *arch.X86 {
	r := rand.New(rand.NewPCG(uint64(i), 9))
	number := func() uint64 {
		if g.Wide {
			return r.Uint64()
		}
		return uint64(r.Uint32())
	}
	code, stack, data, fs := g.Selectors()
	s := &arch.X86{Wide: g.Wide, RIP: number(), RFLAGS: uint64(r.Uint32()), DR: &[8]uint64{}}
	for n := range s.Regs {
		if n < 8 || g.Wide {
			s.Regs[n] = number()
		}
	}
	for _, n := range []int{0, 1, 2, 3, 6, 7} {
		s.DR[n] = number()
	}
	for n, selector := range []uint16{data, code, stack, data, fs, 0} {
		s.Segs[n].Selector = uint32(selector)
	}
	vectors := 8
	if g.Wide {
		vectors = 16
	}
	s.FPU = &arch.X86FPU{Control: 0x37f, Status: 0x3800, Tags: 0x81, MXCSR: winguest.MXCSR(i), Vectors: make([][64]byte, vectors)}
	for n := range s.FPU.Vectors {
		s.FPU.Vectors[n] = [64]byte{byte(n), 15: byte(i + 1)}
	}
	s.FPU.ST[7] = [10]byte{1, 9: 0x3f}
	s.CR = [5]uint64{1<<31 | 1, 0, number(), g.CR3(), 0}
	if g.PAE || g.Wide {
		s.CR[4] = 1 << 5
	}
	s.GDT, s.IDT = arch.X86Segment{Base: g.GDT[i], Limit: 0x7f}, arch.X86Segment{Base: g.IDT, Limit: 0xfff}
	if g.Wide {
		s.EFER = arch.EFERLMA
		s.Syscall = &arch.X86Syscall{STAR: number(), LSTAR: number(), CSTAR: number(), FMASK: number()}
		s.KernelGSBase = number()
	}
	return s
}

// put stores them where Windows has them.
func put(g *winguest.Guest, i int, s *arch.X86) {
	le := binary.LittleEndian
	special := uint64(0x2e4)
	if g.Wide {
		special = 0x40
	}
	g.Put16(g.KDBG+0x2f2, uint16(special))
	g.Put16(g.DriverKDBG+0x2f2, uint16(special))
	fx := s.FPU.FXSave()
	if g.Wide {
		b := make([]byte, 1232)
		le.PutUint32(b[0x30:], 0x10001f)
		for at, n := range map[int]int{0x38: 1, 0x3a: 3, 0x3c: 0, 0x3e: 4, 0x40: 5, 0x42: 2} {
			le.PutUint16(b[at:], uint16(s.Segs[n].Selector))
		}
		le.PutUint32(b[0x44:], uint32(s.RFLAGS))
		for at, n := range map[int]int{0x48: 0, 0x50: 1, 0x58: 2, 0x60: 3, 0x68: 6, 0x70: 7} {
			le.PutUint64(b[at:], s.DR[n])
		}
		for n, v := range s.Regs {
			le.PutUint64(b[0x78+8*n:], v)
		}
		le.PutUint64(b[0xf8:], s.RIP)
		copy(b[0x100:], fx[:])
		g.Put(g.Context[i], b)

		x := g.PRCB[i] + special
		for at, v := range map[uint64]uint64{0: s.CR[0], 8: s.CR[2], 0x10: s.CR[3], 0x18: s.CR[4], 0x58: s.GDT.Base, 0x68: s.IDT.Base,
			0xa8: s.Segs[5].Base, 0xb0: s.KernelGSBase, 0xb8: s.Syscall.STAR, 0xc0: s.Syscall.LSTAR, 0xc8: s.Syscall.CSTAR, 0xd0: s.Syscall.FMASK} {
			g.Put64(x+at, v)
		}
		g.Put16(x+0x56, uint16(s.GDT.Limit))
		g.Put16(x+0x66, uint16(s.IDT.Limit))
		return
	}
	b := make([]byte, 716)
	le.PutUint32(b, 0x1003f)
	for at, n := range map[int]int{4: 0, 8: 1, 0xc: 2, 0x10: 3, 0x14: 6, 0x18: 7} {
		le.PutUint32(b[at:], uint32(s.DR[n]))
	}
	for at, n := range map[int]int{0x8c: 5, 0x90: 4, 0x94: 0, 0x98: 3, 0xbc: 1, 0xc8: 2} {
		le.PutUint32(b[at:], s.Segs[n].Selector)
	}
	for at, n := range map[int]int{0x9c: 7, 0xa0: 6, 0xa4: 3, 0xa8: 2, 0xac: 1, 0xb0: 0, 0xb4: 5, 0xc4: 4} {
		le.PutUint32(b[at:], uint32(s.Regs[n]))
	}
	le.PutUint32(b[0xb8:], uint32(s.RIP))
	le.PutUint32(b[0xc0:], uint32(s.RFLAGS))
	copy(b[0xcc:], fx[:])
	g.Put(g.Context[i], b)
	x := g.PRCB[i] + special
	for at, v := range map[uint64]uint64{0: s.CR[0], 4: s.CR[2], 8: s.CR[3], 0xc: s.CR[4], 0x2c: s.GDT.Base, 0x34: s.IDT.Base} {
		g.Put32(x+at, uint32(v))
	}
	g.Put16(x+0x2a, uint16(s.GDT.Limit))
	g.Put16(x+0x32, uint16(s.IDT.Limit))
}

// The processors' registers come from their contexts and from what Windows
// saved with them; the hidden parts of segments from the table.
func TestProcessors(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			g := winguest.New(kind)
			var want []*arch.X86
			for i := range winguest.CPUs {
				s := state(g, i)
				if g.Wide {
					s.Segs[5].Base = g.PCR[i]
				}
				put(g, i, s)
				want = append(want, hidden(g, i, s))
			}
			f, im := open(t, short(g))
			cpus := f.CPUs(im)
			if len(cpus) != len(want) {
				t.Fatalf("%d processors", len(cpus))
			}
			for i, c := range cpus {
				if c.Trust != guest.Valid || c.Index != i {
					t.Fatalf("CPU %d is number %d and %s", i, c.Index, c.Label())
				}
				if diff := cmp.Diff(arch.State(want[i]), c.State); diff != "" {
					t.Errorf("CPU %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// Where a dump may have bytes of its own are the contexts and KDBG, in pieces
// where they cross pages, and nothing else.
func TestOwn(t *testing.T) {
	for name, kind := range kinds {
		g := winguest.New(kind)
		f, im := open(t, short(g))
		want := map[uint64]bool{}
		put := func(va, n uint64) {
			for i := range n {
				want[g.Physical(va+i)] = true
			}
		}
		size := uint64(720)
		if g.Wide {
			size = 1232
		}
		for i := range winguest.CPUs {
			put(g.Context[i], size)
		}
		put(g.KDBG, uint64(binary.LittleEndian.Uint32(g.Bytes(g.DriverKDBG+0x14, 4))))
		for _, r := range f.Own(im) {
			for a := r.Addr; a < r.End(); a++ {
				if !want[uint64(a)] {
					t.Fatalf("%s: %v is nobody's", name, a)
				}
				delete(want, uint64(a))
			}
		}
		if len(want) > 0 {
			t.Errorf("%s: %d bytes are not told", name, len(want))
		}
		g.PutPointer(g.KDBG+0x10, 0)
		g.PutPointer(g.DriverKDBG+0x10, 0)
		if f, im := open(t, short(g)); f.Own(im) != nil {
			t.Errorf("%s: without KDBG there are some", name)
		}
	}
}

// hidden sets the hidden parts of segment registers, from the guest's table.
func hidden(g *winguest.Guest, i int, s *arch.X86) *arch.X86 {
	gs := s.Segs[5]
	for n := range s.Segs {
		seg := &s.Segs[n]
		if seg.Selector == 0 {
			continue
		}
		d := binary.LittleEndian.Uint64(g.Bytes(g.GDT[i]+uint64(seg.Selector&^7), 8))
		seg.Base = d>>16&0xffffff | d>>56<<24
		seg.Limit = uint32(d&0xffff | d>>32&0xf0000)
		if seg.Flags = uint32(d >> 32); d>>55&1 != 0 {
			seg.Limit = seg.Limit<<12 | 0xfff
		}
	}
	s.Segs[5] = gs
	return s
}

// A program's GS base is the one that SWAPGS had, and the kernel's the other.
func TestProgram(t *testing.T) {
	g := winguest.New(kinds["x64"])
	s := state(g, 0)
	s.Segs[1].Selector |= 3
	teb := s.KernelGSBase
	put(g, 0, s)
	f, im := open(t, short(g))
	got, _ := f.CPUs(im)[0].State.(*arch.X86)
	if got == nil || got.Segs[5].Base != teb || got.KernelGSBase != g.PCR[0] {
		t.Errorf("%+v", got)
	}
}

// Registers that are not all there are none, and the reason says what lacks.
func TestNoProcessors(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*winguest.Guest)
		want   string
	}{
		"no KDBG":           {func(g *winguest.Guest) { g.Put(g.KDBG+0x10, []byte("XDBG")) }, "the tag is not there"},
		"KDBG nowhere":      {func(g *winguest.Guest) { g.SetPointer(nowhere, 0x80, 0x60) }, "KDBG at 0xfffff90000000000"},
		"an old KDBG":       {func(g *winguest.Guest) { g.Put32(g.KDBG+0x14, 0x208) }, "it has 0x208 bytes"},
		"no block":          {func(g *winguest.Guest) { g.Put64(g.KDBG+0x218, nowhere) }, "reading where its PRCB is"},
		"no context":        {func(g *winguest.Guest) { g.PutPointer(g.PRCB[0]+0x2e18, nowhere) }, "its context at 0xfffff90000000000"},
		"context is empty":  {func(g *winguest.Guest) { g.Put32(g.Context[0]+0x30, 0) }, "it is not filled in"},
		"nothing was saved": {func(g *winguest.Guest) { g.Put64(g.PRCB[0]+0x40, 0) }, "cannot be"},
		"no tables":         {func(g *winguest.Guest) { g.Put16(g.PRCB[0]+0x40+0x56, 0) }, "no descriptor tables of it were saved"},
		"no such selector":  {func(g *winguest.Guest) { g.Put16(g.Context[0]+0x38, 0x7f8) }, "the selector 0x7f8"},
		"no offset":         {func(g *winguest.Guest) { g.Put16(g.KDBG+0x2f2, 0) }, "has its context, and that no control registers"},
	} {
		t.Run(name, func(t *testing.T) {
			g := winguest.New(kinds["x64"])
			put(g, 0, state(g, 0))
			x.change(g)
			f, im := open(t, short(g))
			cpus := f.CPUs(im)
			if len(cpus) != winguest.CPUs || cpus[0].State != nil || cpus[0].Trust != guest.Unknown || !strings.Contains(cpus[0].Reason, x.want) {
				t.Errorf("%+v", cpus)
			}
		})
	}
}

// What is wrong with a file is said, and where.
func TestRefused(t *testing.T) {
	g := winguest.New(kinds["x64"])
	image := g.Image()
	whole, mapped := complete(g, image), withBitmap(g, image, inRuns, false, true)
	change := func(b []byte, at int, with ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], with)
		return b
	}
	for name, x := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":           {nil, "not a Windows crash dump"},
		"something":         {[]byte("PAGEDU65"), "not a Windows crash dump"},
		"a short header":    {whole[:0x1fff], "offset 0x1fff: unexpected EOF"},
		"of the kernel":     {change(whole, 0xf98, 2), "a dump of type 2 (of the kernel) has not all"},
		"no runs":           {change(whole, 0x88, 0), "offset 0x88: the header's list"},
		"runs that meet":    {change(whole, 0x98, 0xff, 0xff), "offset 0x88: the header's list"},
		"no summary":        {mapped[:0x2010], "reading the summary at offset 0x2010"},
		"another summary":   {change(mapped, 0x2000, 'X'), `begins with "XDMPDUMP"`},
		"a short bitmap":    {mapped[:0x2040], "a bitmap of 8197 pages does not fit"},
		"first in bitmap":   {change(mapped, 0x2020, 0, 0x20), "the first page is to be at 0x2000"},
		"one bit too many":  {change(mapped, 0x2038, 1|mapped[0x2038]), "the bitmap has 7839 pages, and 7838"},
		"too many for life": {change(mapped, 0x2030, 0, 0, 0, 0, 0, 0, 1), "does not fit"},
	} {
		_, err := windmpfile.New(bytes.NewReader(x.file), int64(len(x.file)))
		var format *windmpfile.FormatError
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.HasPrefix(x.want, "offset 0x8") && !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, im := open(t, whole[:0x2000+0x5800])
	if _, err := im.ReadAt(make([]byte, 1), 0x67ff); err != nil {
		t.Errorf("the last byte of a file that is cut: %v", err)
	}
	if _, err := im.ReadAt(make([]byte, 1), 0x6800); err == nil || !strings.Contains(err.Error(), "lost") || f.Size != 0x7800 {
		t.Errorf("behind the end of a file that is cut: %v", err)
	}
}

// FuzzNew opens files with damaged headers, contexts and structures, and reads
// what they have.
func FuzzNew(f *testing.F) {
	var files [][]byte
	for _, name := range []string{"x64", "x86", "x86 PAE"} {
		g := winguest.New(kinds[name])
		for i := range winguest.CPUs {
			put(g, i, state(g, i))
		}
		some := func(page uint64) bool { return page >= winguest.Base/4096 && page < winguest.Base/4096+256 }
		files = append(files, short(g), withBitmap(g, g.Image(), some, false, true))
	}
	for i, b := range files {
		for _, at := range []uint32{0x10, 0x34, 0x64, 0x80, 0x88, 0x90, 0x98, 0xa0, 0xf88, 0xf98, 0x1020, 0x1028, 0x1030, 0x2020, 0x2028, 0x2030} {
			f.Add(byte(i), at, uint64(0xffff_ffff_ffff_f000), uint32(len(b)))
			f.Add(byte(i), at, uint64(5), uint32(at+0x1000))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, at uint32, v uint64, cut uint32) {
		b := bytes.Clone(files[int(which)%len(files)])
		binary.LittleEndian.PutUint64(b[int(at)%(len(b)-8):], v)
		b = b[:min(len(b), int(cut))]
		var d *windmpfile.File
		var im *guest.Image
		var err error
		n := dumptest.Allocated(func() {
			if d, err = windmpfile.New(bytes.NewReader(b), int64(len(b))); err == nil {
				im, err = d.Image()
			}
		})
		if n > uint64(len(b))*64+1<<20 {
			t.Errorf("%d bytes allocated for a file of %d", n, len(b))
		}
		if err != nil {
			return
		}
		for _, r := range d.Runs {
			n, err := im.ReadAt(make([]byte, 2), int64(r.Addr))
			if held := r.Off+2 <= int64(len(b)); held != (err == nil) || held && n != 2 {
				t.Errorf("memory at %#x, offset %#x of %d bytes: %d, %v", r.Addr, r.Off, len(b), n, err)
			}
		}
		var cpus []guest.CPU
		var own []guest.Range
		if n := dumptest.Allocated(func() { cpus, own = d.CPUs(im), d.Own(im) }); n > 64<<20 { // of more processors than there are
			t.Errorf("%d bytes allocated for the processors in a file of %d", n, len(b))
		}
		for _, c := range cpus {
			if (c.State == nil) != (c.Trust == guest.Unknown) || c.State == nil && c.Reason == "" {
				t.Errorf("CPU %d: %s", c.Index, c.Label())
			}
		}
		for _, r := range own {
			if r.Size == 0 || r.End() < r.Addr {
				t.Errorf("bytes of its own: %+v", r)
			}
		}
		d.CompleteHeader()
	})
}
