package windows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
	"guestcore/test/winguest"
)

var le = binary.LittleEndian

// The header is filled in as QEMU fills it in, and nothing else of it changes.
func TestHeaderIsFilledIn(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			g := winguest.New(kind)
			want := bytes.Clone(g.Header)
			m := machine(t, g)
			if err := Identify(t.Context(), m, Options{}); err != nil {
				t.Fatal(err)
			}
			kdbg := g.KDBG
			if g.Encoded {
				kdbg = g.DriverKDBG
			}
			const pages = 0x9e + 0x1c00 + 0x200
			if g.Wide {
				clear(want[0x8c:0x90])
				clear(want[0xf9c:0xfa0])
				le.PutUint64(want[0x18:], g.MmPfnDatabase)
				copy(want[0x38:], g.Bytes(g.KiBugcheckData, 40))
				le.PutUint32(want[0x38:], 0x161)
				le.PutUint64(want[0x80:], kdbg)
				le.PutUint64(want[0xfa0:], 8192+pages*4096)
			} else {
				le.PutUint32(want[0x14:], uint32(g.MmPfnDatabase))
				copy(want[0x28:], g.Bytes(g.KiBugcheckData, 20))
				le.PutUint32(want[0x28:], 0x161)
				le.PutUint32(want[0x60:], uint32(kdbg))
				le.PutUint64(want[0xfa0:], 4096+pages*4096)
			}
			for i, b := range m.Windows.Header {
				if b != want[i] {
					t.Fatalf("offset %#x of the header is %#x, want %#x", i, b, want[i])
				}
			}
			if len(m.Windows.Header) != len(want) || m.Windows.Origin == "" {
				t.Errorf("%d bytes of header from %q", len(m.Windows.Header), m.Windows.Origin)
			}
			if again := note(g); !bytes.Equal(m.VMCoreInfo, again) {
				t.Error("the note has changed")
			}
		})
	}
}

func TestBugcheck(t *testing.T) {
	for name, kind := range kinds {
		g := winguest.New(kind)
		word := 4
		if g.Wide {
			word = 8
		}
		for i := range 5 {
			g.PutPointer(g.KiBugcheckData+uint64(i*word), uint64(0xd1+i))
		}
		m := machine(t, g)
		if err := Identify(t.Context(), m, Options{}); err != nil {
			t.Fatal(err)
		}
		h := Header(m.Windows.Header)
		for i, f := range []Field{BugcheckCode, BugcheckParameter1, BugcheckParameter2, BugcheckParameter3, BugcheckParameter4} {
			if got := h.Uint(f); got != uint64(0xd1+i) {
				t.Errorf("%s: %v is %#x", name, f, got)
			}
		}
	}
}

// Offsets are Microsoft's: CONTEXT of winnt.h.
func TestContext(t *testing.T) {
	const all64, all32 = 0x10001f, 0x10017
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			g := winguest.New(kind)
			m := machine(t, g)
			if err := Identify(t.Context(), m, Options{}); err != nil {
				t.Fatal(err)
			}
			behind := map[bool]int{true: 1232, false: 720}[g.Wide]
			for cpu := range winguest.CPUs {
				word := func(at, n int) uint64 { return number(contextOf(t, m, g, cpu, at, n)) }
				is := func(what string, at, n int, want uint64) {
					t.Helper()
					if got := word(at, n); got != want&(^uint64(0)>>(64-8*n)) {
						t.Errorf("CPU %d: %s at %#x is %#x, want %#x", cpu, what, at, got, want)
					}
				}
				s := x86(m, cpu)
				dr := []uint64{s.DR[0], s.DR[1], s.DR[2], s.DR[3], s.DR[6], s.DR[7]}
				selectors := func(n int, at ...int) { // CS DS ES FS GS SS
					for i, seg := range []int{1, 3, 0, 4, 5, 2} {
						is("selector", at[i], n, uint64(s.Segs[seg].Selector))
					}
				}
				if g.Wide {
					is("flags", 0x30, 4, all64)
					is("MXCSR", 0x34, 4, uint64(s.FPU.MXCSR))
					selectors(2, 0x38, 0x3a, 0x3c, 0x3e, 0x40, 0x42)
					is("EFLAGS", 0x44, 4, s.RFLAGS)
					for i, v := range dr {
						is("DR", 0x48+8*i, 8, v)
					}
					for i, v := range s.Regs { // RAX RCX RDX RBX RSP RBP RSI RDI R8 …
						is("register", 0x78+8*i, 8, v)
					}
					is("RIP", 0xf8, 8, s.RIP)
					is("x87", 0x100, 8, 0)
					is("MXCSR", 0x118, 4, uint64(s.FPU.MXCSR))
					is("XMM1", 0x1b0, 8, 0)
				} else {
					is("flags", 0, 4, all32)
					for i, v := range dr {
						is("DR", 4+4*i, 4, v)
					}
					selectors(4, 0xbc, 0x98, 0x94, 0x90, 0x8c, 0xc8)
					for at, n := range map[int]int{0x9c: 7, 0xa0: 6, 0xa4: 3, 0xa8: 2, 0xac: 1, 0xb0: 0, 0xb4: 5, 0xc4: 4} {
						is("register", at, 4, s.Regs[n])
					}
					is("EIP", 0xb8, 4, s.RIP)
					is("EFLAGS", 0xc0, 4, s.RFLAGS)
					is("x87", 0x1c, 4, 0)
				}
				// What is behind it is the guest's.
				if got, want := contextOf(t, m, g, cpu, behind, 16), g.Bytes(g.Context[cpu]+uint64(behind), 16); !bytes.Equal(got, want) {
					t.Errorf("behind the context of CPU %d: %x, want %x", cpu, got, want)
				}
			}
		})
	}
}

func TestFloatContext(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			g := winguest.New(kind)
			m := machine(t, g)
			if err := Identify(t.Context(), m, Options{Float: true}); err != nil {
				t.Fatal(err)
			}
			if len(m.Windows.Remarks) > 0 {
				t.Errorf("remarks %q", m.Windows.Remarks)
			}
			fxsave := 0xcc
			if g.Wide {
				fxsave = 0x100
			}
			area := contextOf(t, m, g, 1, fxsave, 512)
			want := x86(m, 1).FPU.FXSave()
			if !bytes.Equal(area, want[:]) {
				t.Error("the context has not what FXSAVE writes")
			}
			if got := area[160+16*3:][:16]; got[0] != 3 || got[15] != 1 {
				t.Errorf("xmm3 is %x", got)
			}
			if g.Wide {
				return
			}
			if flags := number(contextOf(t, m, g, 1, 0, 4)); flags != 0x1003f {
				t.Errorf("flags %#x", flags)
			}
			fsave := contextOf(t, m, g, 1, 0x1c, 112)
			// Of the stack, which begins at register 7, one is in use.
			if le.Uint32(fsave) != 0xffff037f || le.Uint32(fsave[4:]) != 0xffff3800 || le.Uint32(fsave[8:]) != 0xffff3fff || fsave[28+7] != 0x88 {
				t.Errorf("what FSAVE writes is %x", fsave)
			}
		})
	}
}

// Before Windows 7 the context lies in the processor's block.
func TestEmbeddedContext(t *testing.T) {
	g := winguest.New(winguest.Kind{Wide: true})
	g.Put32(g.KDBG+0x14, 0x330)
	g.Put16(g.KDBG+0x338, 0xffff) // behind the end: anything
	m := machine(t, g)
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
	offset := uint64(le.Uint16(g.Bytes(g.KDBG+0x2bc, 2)))
	for cpu, prcb := range g.PRCB {
		if got := number(patchedBytes(t, m, g, prcb+offset+0xf8, 8)); got != number64(cpu, 16) {
			t.Errorf("RIP of CPU %d is %#x", cpu, got)
		}
	}
}

// Where CPU 0's registers do not say how the kernel has memory mapped, the
// header does.
func TestPagingByHeader(t *testing.T) {
	for name, kind := range kinds {
		for _, trust := range []guest.Trust{guest.Valid, guest.Stale} {
			t.Run(fmt.Sprintf("%s %v", name, trust), func(t *testing.T) {
				g := winguest.New(kind)
				m := machine(t, g)
				m.CPUs[0].Trust = trust
				s := x86(m, 0)
				s.CR, s.EFER = [5]uint64{}, 0 // as after reset
				if err := Identify(t.Context(), m, Options{}); err != nil {
					t.Fatal(err)
				}
				if len(m.Windows.Patches) == 0 {
					t.Error("CPU 1 has no context")
				}
			})
		}
	}
}

// A 64-bit header does not say that page tables have five levels.
func TestFiveLevels(t *testing.T) {
	g := winguest.New(winguest.Kind{Wide: true})
	image := g.Image()
	at := len(image) - PageSize
	for !bytes.Equal(image[at:at+PageSize], make([]byte, PageSize)) {
		at -= PageSize
	}
	root := winguest.Base + uint64(at)
	g.PutPhysical(root+511*8, le.AppendUint64(nil, g.CR3()|0x63))
	g.SetPointer(root, 0x10, 0x10)
	m := machine(t, g)
	m.CPUs[0] = guest.CPU{}
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
	if len(m.Windows.Patches) == 0 {
		t.Error("CPU 1 has no context")
	}
}

// What the file does not have, or not as it should be, is said.
func TestRemarks(t *testing.T) {
	x64 := winguest.Kind{Wide: true}
	for _, tt := range []struct {
		name   string
		guest  func(*winguest.Guest)
		change func(*guest.Machine)
		o      Options
		want   string // "": none
		not    []int  // CPUs whose contexts are the guest's own
	}{
		{name: "all is there", o: Options{Float: true}},
		{name: "x87", want: "CPU 0, 1 have zeros for x87 and SSE"},
		{name: "stale", change: func(m *guest.Machine) { m.CPUs[1].Trust, m.CPUs[1].Reason = guest.Stale, "KVM had newer ones" }, o: Options{Float: true},
			want: "CPU 1 are stale, KVM had newer ones: the file has the context that the guest had, --stale-registers", not: []int{1}},
		{name: "stale asked for", change: func(m *guest.Machine) { m.CPUs[1].Trust = guest.Stale }, o: Options{Float: true, StaleRegisters: true},
			want: "CPU 1 are stale"},
		{name: "unknown", change: func(m *guest.Machine) { m.CPUs[0] = guest.CPU{Reason: "not found"} }, o: Options{Float: true},
			want: "CPU 0 are unknown, not found: the file has the context that the guest had", not: []int{0}},
		{name: "executing", change: func(m *guest.Machine) { m.CPUs[0].Reason = "of a moment before" }, o: Options{Float: true},
			want: "CPU 0 are valid, of a moment before"},
		{name: "no vCPUs", change: func(m *guest.Machine) { m.CPUs = nil }, want: "nothing is known of the vCPUs"},
		{name: "no x87", change: func(m *guest.Machine) { x86(m, 0).FPU = nil }, o: Options{Float: true}, want: "CPU 0 lack those of x87 and SSE"},
		{name: "no debug registers", change: func(m *guest.Machine) { x86(m, 1).DR = nil }, o: Options{Float: true}, want: "CPU 1 lack the debug registers"},
		{name: "fewer processors", guest: func(g *winguest.Guest) { g.SetHeader(1, 0x34, 0x24) }, o: Options{Float: true},
			want: "Windows counts 1 processors and the machine has 2", not: []int{1}},
		{name: "more processors", guest: func(g *winguest.Guest) { g.SetHeader(0xffff_ffff, 0x34, 0x24) }, o: Options{Float: true},
			want: "Windows counts 4294967295 processors and the machine has 2"},
		{name: "another dump type", guest: func(g *winguest.Guest) { g.SetHeader(5, 0xf98, 0xf88) }, o: Options{Float: true}, want: "DumpType was 5"},
		{name: "no bugcheck data", guest: func(g *winguest.Guest) { g.PutPointer(g.KDBG+0x88, 0xdead0000) }, o: Options{Float: true},
			want: "stay as the guest's driver left them: reading the bugcheck's data: virtual address 0xdead0000 is not mapped"},
		{name: "no place for a context", guest: func(g *winguest.Guest) { g.PutPointer(g.KiProcessorBlock+8, 0xdead0000) }, o: Options{Float: true, Partial: true},
			want: "CPU 1 are not in the file, it has the context that the guest had: reading where its context is", not: []int{1}},
		{name: "no place for any", guest: func(g *winguest.Guest) { g.Put32(g.KDBG+0x14, 0x290) }, o: Options{Partial: true},
			want: "KDBG has 0x290 bytes, and none of them says where a processor's context is", not: []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := winguest.New(x64)
			if tt.guest != nil {
				tt.guest(g)
			}
			m := machine(t, g)
			if tt.change != nil {
				tt.change(m)
			}
			if err := Identify(t.Context(), m, tt.o); err != nil {
				t.Fatal(err)
			}
			said := strings.Join(m.Windows.Remarks, "\n")
			if !strings.Contains(said, tt.want) || (tt.want == "") != (said == "") || len(m.Windows.Remarks) > 1 {
				t.Errorf("remarks %q, want %q", m.Windows.Remarks, tt.want)
			}
			if m.CPUs == nil || m.CPUs[0].State == nil {
				return
			}
			for cpu := range winguest.CPUs {
				flags := number(contextOf(t, m, g, cpu, 0x30, 4))
				own := number(g.Bytes(g.Context[cpu]+0x30, 4))
				written := flags != own
				if written == slices.Contains(tt.not, cpu) {
					t.Errorf("flags of CPU %d's context are %#x, the guest's own %#x", cpu, flags, own)
				}
				s := x86(m, cpu)
				if written && (flags&8 == 0) != (s.FPU == nil) || written && (flags&16 == 0) != (s.DR == nil) {
					t.Errorf("CPU %d: context claims %#x", cpu, flags)
				}
			}
		})
	}
}

// Each check of QEMU's, and those of our own, with what is to be said.
func TestRefused(t *testing.T) {
	const nowhere = 0xdead0000
	for _, tt := range []struct {
		name   string
		guest  func(*winguest.Guest)
		change func(*guest.Machine)
		want   string
	}{
		{"no note", nil, func(m *guest.Machine) { m.VMCoreInfo = nil }, "the kernel of Windows was not found"},
		{"Linux", nil, func(m *guest.Machine) { copy(m.VMCoreInfo[24:], "OSRELEASE=6.1\n") }, "is that of a Linux kernel"},
		{"size of the note", func(g *winguest.Guest) { g.NoteSize -= 4 }, nil, "bytes of contents, and a Windows crash dump header has 8192 or 4096: "},
		{"note cut short", func(g *winguest.Guest) { g.NoteSize += 4 }, nil, "bytes of contents, and there are "},
		{"name of the note", nil, func(m *guest.Machine) { m.VMCoreInfo[12] = 'v' }, "is no VMCOREINFO note"},
		{"signature", func(g *winguest.Guest) { g.Header[0] = 'p' }, nil, `a crash dump's header begins with PAGE, and here is "pAGE"`},
		{"second signature", func(g *winguest.Guest) { copy(g.Header[4:], "DU65") }, nil, `behind PAGE a crash dump's header has DU64 or DUMP, and here is "DU65"`},
		{"other width", func(g *winguest.Guest) { copy(g.Header[4:], map[bool]string{true: "DUMP", false: "DU64"}[g.Wide]) }, nil, "bytes, and here are"},
		{"page tables", func(g *winguest.Guest) { g.SetPointer(0, 0x10, 0x10) }, nil, "(KDBG) was not found"},
		{"KDBG not mapped", func(g *winguest.Guest) { g.SetPointer(nowhere, 0x80, 0x60) }, nil, "at KdDebuggerDataBlock, 0xdead0000: virtual address 0xdead0010 is not mapped"},
		{"tag of KDBG", func(g *winguest.Guest) { g.Put(g.KDBG+0x10, []byte("KDBX")) }, nil, `its tag is "KDBX", not KDBG; at BugcheckParameter1, 0x0: `},
		{"tag of the copy", func(g *winguest.Guest) {
			g.Put(g.KDBG+0x10, []byte("KDBX"))
			g.Put(g.DriverKDBG+0x10, []byte("NOPE"))
			g.SetPointer(g.DriverKDBG, 0x40, 0x2c)
		}, nil, `its tag is "NOPE", not KDBG`},
		{"KiProcessorBlock", func(g *winguest.Guest) { g.PutPointer(g.KDBG+0x218, nowhere) }, nil, "processor 0 of Windows: reading where its PRCB is: virtual address 0xdead0000 is not mapped"},
		{"PRCB", func(g *winguest.Guest) { g.PutPointer(g.KiProcessorBlock, nowhere) }, nil, "processor 0 of Windows: reading where its context is: virtual address 0xdead"},
		{"context", func(g *winguest.Guest) {
			g.PutPointer(g.PRCB[1]+uint64(le.Uint16(g.Bytes(g.KDBG+0x338, 2))), nowhere)
		}, nil, "processor 1 of Windows: its context at 0xdead0000: virtual address 0xdead0000 is not mapped"},
		{"KDBG too small", func(g *winguest.Guest) { g.Put32(g.KDBG+0x14, 0x290) }, nil, "Windows Server 2003 or newer is needed: --partial"},
		{"sealed", nil, func(m *guest.Machine) { m.Sealed = "memory is encrypted" }, "memory is encrypted"},
		{"not x86", nil, func(m *guest.Machine) { m.Arch, _ = arch.GuestByName("arm") }, "is one of an x86 machine, and this is arm"},
	} {
		for _, kind := range []winguest.Kind{{Wide: true}, {PAE: true}} {
			t.Run(fmt.Sprintf("%s wide %v", tt.name, kind.Wide), func(t *testing.T) {
				g := winguest.New(kind)
				if tt.guest != nil {
					tt.guest(g)
				}
				m := machine(t, g)
				if tt.change != nil {
					tt.change(m)
				}
				err := Identify(t.Context(), m, Options{})
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v; want one line with %q", err, tt.want)
				}
				if m.Windows != nil {
					t.Error("the machine has a header all the same")
				}
			})
		}
	}
}

// A KDBG that cannot be read does not keep the driver's copy from being found:
// QEMU refuses such a guest.
func TestCopyOfKDBG(t *testing.T) {
	g := winguest.New(winguest.Kind{Wide: true})
	g.SetPointer(0xdead0000, 0x80, 0x60)
	g.SetPointer(g.DriverKDBG, 0x40, 0x2c)
	m := machine(t, g)
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := Header(m.Windows.Header).Uint(KdDebuggerDataBlock); got != g.DriverKDBG {
		t.Errorf("KdDebuggerDataBlock %#x, want %#x", got, g.DriverKDBG)
	}
}
