package windows

import (
	"bytes"
	"encoding/binary"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
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

// ram is memory in a slice.
type ram struct{ *bytes.Reader }

func (ram) Name() string { return "ram" }

// machine is a stopped guest with the driver's note. The page tables in force
// are those of a program, and the registers are numbered.
func machine(t testing.TB, g *winguest.Guest) *guest.Machine {
	t.Helper()
	name, cr4, efer := "386", uint64(1<<4), uint64(0)
	switch {
	case g.Wide:
		name, cr4, efer = "X86_64", 1<<5, arch.EFERLMA
	case g.PAE:
		cr4 = 1 << 5
	}
	a, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	image := g.Image()
	im := &guest.Image{
		Ranges: []guest.Range{{Addr: winguest.Base, Size: uint64(len(image))}},
		Map:    &extent.Map[addr.GPA, addr.FileOff]{},
		Files:  []addr.Source{ram{bytes.NewReader(image)}},
	}
	if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: winguest.Base, Size: uint64(len(image))}); err != nil {
		t.Fatal(err)
	}
	m := &guest.Machine{Arch: a, Image: im, VMCoreInfo: note(g)}
	for i := range winguest.CPUs {
		s := &arch.X86{Wide: g.Wide, RIP: number64(i, 16), RFLAGS: number64(i, 17), EFER: efer, DR: &[8]uint64{}, FPU: &arch.X86FPU{
			Control: 0x37f, Status: 0x3800, Tags: 0x80, MXCSR: 0x1fa0 + uint32(i), Vectors: make([][64]byte, 16),
		}}
		s.CR = [5]uint64{1 << 31, 0, 0, 0xbad000, cr4}
		for n := range s.Regs {
			s.Regs[n] = number64(i, n)
			s.FPU.Vectors[n] = [64]byte{byte(n), 15: byte(i), 16: 0xff}
		}
		for n := range s.Segs {
			s.Segs[n].Selector = uint32(0x10*n + i)
		}
		for n := range s.DR {
			s.DR[n] = number64(i, 20+n)
		}
		s.FPU.ST[0] = [10]byte{1, 2, 3, 4, 5, 6, 7, 0x88, 0xff, 0x3f}
		m.CPUs = append(m.CPUs, guest.CPU{Index: i, State: s, Trust: guest.Valid})
	}
	return m
}

// number64 is a number for a register that no other has.
func number64(cpu, n int) uint64 { return 0x1111_2222_0000_0000 | uint64(n)<<16 | uint64(cpu)<<8 | 1 }

// note is the driver's note.
func note(g *winguest.Guest) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 11)
	b = binary.LittleEndian.AppendUint32(b, g.NoteSize)
	b = append(b, 0, 0, 0, 0)
	b = append(b, "VMCOREINFO\x00\x00"...)
	return append(b, g.Header...)
}

// x86 is a processor's registers.
func x86(m *guest.Machine, i int) *arch.X86 { return m.CPUs[i].State.(*arch.X86) }

// contextOf is what a dump has of a processor's context at an offset.
func contextOf(t *testing.T, m *guest.Machine, g *winguest.Guest, cpu, at, n int) []byte {
	t.Helper()
	return patchedBytes(t, m, g, g.Context[cpu]+uint64(at), n)
}

// patchedBytes are n bytes at a virtual address as a dump has them.
func patchedBytes(t *testing.T, m *guest.Machine, g *winguest.Guest, va uint64, n int) []byte {
	t.Helper()
	im, err := m.Image.With(m.Windows.Patches)
	if err != nil {
		t.Fatal(err)
	}
	p := x86(m, 0).X86Paging()
	p.CR3 = g.CR3()
	b := make([]byte, n)
	if _, err := im.ReadVirtual(p, b, va); err != nil {
		t.Fatal(err)
	}
	return b
}
