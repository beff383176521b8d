package windows

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/test/winguest"
)

// running is a stopped guest whose driver left nothing, with registers as the
// kernel has them.
func running(t testing.TB, g *winguest.Guest) *guest.Machine {
	t.Helper()
	m := machine(t, g)
	m.VMCoreInfo = nil
	for i := range m.CPUs {
		s := x86(m, i)
		s.CR[3] = g.CR3()
		s.IDT = arch.X86Segment{Base: g.IDT, Limit: uint32(256*8*len(g.Header)/HeaderSize32 - 1)}
		if g.Wide {
			s.Syscall = &arch.X86Syscall{LSTAR: g.Syscall}
			s.Segs[segGS].Base = g.PCR[i]
		} else {
			s.Sysenter = &arch.X86Sysenter{EIP: g.Syscall}
			s.Segs[segFS].Base = g.PCR[i]
		}
	}
	return m
}

// small is a guest with runs of memory that machine has.
func small(k winguest.Kind) *winguest.Guest {
	g := winguest.New(k)
	runs := []winguest.Run{{Base: 0x100, Count: 0x80}, {Base: 0x190, Count: 0x70}}
	g.PutDescriptor(runs)
	g.SetRuns(runs)
	return g
}

// fields of a driver's header that a header from memory has too.
var both = []Field{MajorVersion, MinorVersion, DirectoryTableBase, PfnDatabase, PsLoadedModuleList, PsActiveProcessHead, MachineImageType,
	NumberProcessors, BugcheckCode, BugcheckParameter1, BugcheckParameter4, PaeEnabled, NumberOfRuns, NumberOfPages, DumpType,
	RequiredDumpSpace, SystemTime, SystemUpTime, ProductType, SuiteMask}

// A header from memory agrees with the driver's, field by field.
func TestFind(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			g := small(kind)
			driver, found := machine(t, g), running(t, g)
			for _, m := range []*guest.Machine{driver, found} {
				if err := Identify(t.Context(), m, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			want, got := Header(driver.Windows.Header), Header(found.Windows.Header)
			for _, f := range both {
				if got.Uint(f) != want.Uint(f) {
					t.Errorf("%v is %#x, the driver's %#x", f, got.Uint(f), want.Uint(f))
				}
			}
			runs, err := got.Runs()
			if err != nil || !slices.Equal(runs, []Run{{0x100, 0x80}, {0x190, 0x70}}) {
				t.Errorf("the runs are %x, %v", runs, err)
			}
			for i := range winguest.CPUs {
				if a, b := contextOf(t, found, g, i, 0, g.ContextSize()), contextOf(t, driver, g, i, 0, g.ContextSize()); !bytes.Equal(a, b) {
					t.Errorf("processor %d has the context %x, with the driver %x", i, a, b)
				}
			}
			kdbg, origin := g.KDBG, "KDBG is in the kernel's image, at"
			switch {
			case g.Encoded && g.Wide:
				origin = "KDBG is in the kernel's image, encoded, at"
			case g.Encoded: // no kernel of 32 bits is known to: only the driver's copy tells
				kdbg, origin = g.DriverKDBG, "KDBG is outside of the kernel's image, at"
			}
			if at := got.Uint(KdDebuggerDataBlock); at != kdbg || !strings.Contains(found.Windows.Origin, origin) {
				t.Errorf("KDBG is at %#x, not %#x: %s", at, kdbg, found.Windows.Origin)
			}
			if block := patchedBytes(t, found, g, kdbg, 0x340); !bytes.Equal(block, g.Bytes(g.DriverKDBG, 0x340)) {
				t.Error("the dump's KDBG is not the one that the driver copied")
			}
			for _, r := range found.Windows.Remarks {
				if !strings.Contains(r, "x87") {
					t.Errorf("there is more to say: %s", r)
				}
			}
		})
	}
}

// A vCPU that runs a program has the kernel's tables elsewhere, where the
// kernel hides itself from programs.
func TestFindHidden(t *testing.T) {
	g := small(winguest.Kind{Wide: true})
	kernel := g.CR3()
	user := g.UserTables()
	for i := range winguest.CPUs {
		g.Put64(g.PCR[i]+kernelTables, kernel|2)
	}
	m := running(t, g)
	for i := range m.CPUs {
		s := x86(m, i)
		s.CR[3] = user
		s.KernelGSBase, s.Segs[segGS].Base = s.Segs[segGS].Base, 0x7ff0_0000
	}
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := Header(m.Windows.Header).Uint(DirectoryTableBase); got != kernel {
		t.Errorf("DirectoryTableBase is %#x, not %#x", got, kernel)
	}
}

// Where no register can be relied on, as under KVM, the block that processors
// are started by leads to the kernel, or to the module beside it. The contexts
// stay as the guest had them.
func TestFindWithoutRegisters(t *testing.T) {
	g := small(winguest.Kind{Wide: true})
	for name, tt := range map[string]struct {
		newer  bool
		target uint64
	}{
		"older":  {false, g.Syscall},
		"newer":  {true, g.Syscall},
		"module": {false, g.Module()},
	} {
		t.Run(name, func(t *testing.T) {
			m := running(t, g)
			at, page := g.StartBlock(tt.newer, tt.target)
			m.Image.Ranges = append([]guest.Range{{Addr: addr.GPA(at), Size: PageSize}}, m.Image.Ranges...)
			m.Image.Files = append(m.Image.Files, ram{bytes.NewReader(page)})
			if err := m.Image.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: addr.GPA(at), Size: PageSize, Off: addr.InFile(1, 0)}); err != nil {
				t.Fatal(err)
			}
			for i := range m.CPUs {
				m.CPUs[i].State, m.CPUs[i].Trust, m.CPUs[i].Reason = &arch.X86{Wide: true}, guest.Stale, "of KVM"
			}
			if err := Identify(t.Context(), m, Options{}); err != nil {
				t.Fatal(err)
			}
			h := Header(m.Windows.Header)
			if h.Uint(DirectoryTableBase) != g.CR3() || h.Uint(KdDebuggerDataBlock) != g.KDBG || h.Uint(NumberProcessors) != 2 {
				t.Errorf("tables %#x, KDBG %#x, %d processors", h.Uint(DirectoryTableBase), h.Uint(KdDebuggerDataBlock), h.Uint(NumberProcessors))
			}
			if len(m.Windows.Patches) != 0 || !strings.Contains(m.Windows.Origin, "the block at 0x13000") {
				t.Errorf("%d patches; %s", len(m.Windows.Patches), m.Windows.Origin)
			}
			if !strings.Contains(strings.Join(m.Windows.Remarks, "\n"), "stale, of KVM") {
				t.Errorf("nothing says that the registers are stale: %q", m.Windows.Remarks)
			}
		})
	}
}

// What a processor enters may lie above the kernel, in no image.
func TestFindFromAbove(t *testing.T) {
	g := small(winguest.Kind{PAE: true})
	m := running(t, g)
	for i := range m.CPUs {
		x86(m, i).Sysenter.EIP = g.Kernel + 0x20_0000
	}
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
}

// Old registers lead to the kernel too, and that is said.
func TestFindByStale(t *testing.T) {
	m := running(t, small(winguest.Kind{PAE: true}))
	for i := range m.CPUs {
		m.CPUs[i].Trust, m.CPUs[i].Reason = guest.Stale, "of KVM"
	}
	if err := Identify(t.Context(), m, Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(m.Windows.Origin, "by registers that are stale, of KVM") || len(m.Windows.Patches) != 0 {
		t.Errorf("%d patches; %s", len(m.Windows.Patches), m.Windows.Origin)
	}
}

// What is broken and can be done without is said; what cannot is refused.
func TestFindBroken(t *testing.T) {
	const nowhere = 0x1000_0000
	wide, narrow := winguest.Kind{Wide: true}, winguest.Kind{PAE: true}
	for _, tt := range []struct {
		name    string
		kind    winguest.Kind
		change  func(*winguest.Guest, *guest.Machine)
		remark  string // or
		refused string
	}{
		{"no names", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Unmap(g.Kernel + 0x11000) }, "", "without a name at"},
		{"no headers", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Unmap(g.Kernel) }, "", "vCPU 1: "},
		{"no registers", wide, func(_ *winguest.Guest, m *guest.Machine) { m.CPUs = nil }, "", "no vCPU has registers"},
		{"no KDBG", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Put32(g.KDBG+0x10, 0); g.Put32(g.DriverKDBG+0x10, 0) },
			"", "neither in its image, as it is or encoded, nor elsewhere"},
		{"another kernel's KDBG", wide, func(g *winguest.Guest, _ *guest.Machine) {
			g.Put64(g.KDBG+0x18, g.Kernel+0x1000)
			g.Put64(g.DriverKDBG+0x18, g.Kernel+0x1000)
		}, "", "neither in its image"},
		{"mapped nowhere", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Put32(g.KDBG+0x10, 0); g.Unmap(g.DriverKDBG) },
			"", "mapped nowhere"},
		{"a list elsewhere", narrow, func(g *winguest.Guest, _ *guest.Machine) { g.Put64(g.KDBG+0x48, nowhere) }, "", "what was taken for KDBG is not"},
		{"no processors", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.KiProcessorBlock, 0) }, "", "no processor has a control block"},
		{"no context", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.PRCB[1]+0x2e18, nowhere) }, "", "processor 1 of Windows"},

		{"one processor", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.KiProcessorBlock+8, nowhere) },
			"KiProcessorBlock has 1 processors, and KUSER_SHARED_DATA counts 2", ""},
		{"another order", narrow, func(g *winguest.Guest, m *guest.Machine) {
			x86(m, 0).Segs[segFS].Base, x86(m, 1).Segs[segFS].Base = g.PCR[1], g.PCR[0]
		}, "vCPU 0 is processor 1 of Windows", ""},
		{"no first process", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.PsInitialSystemProcess, 0) },
			"DirectoryTableBase is that of vCPU 0", ""},
		{"a broken list", narrow, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.PsActiveProcessHead, g.KDBG) },
			"the list PsActiveProcessHead is broken", ""},
		{"a list to nowhere", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.PsLoadedModuleList, nowhere) },
			"the list PsLoadedModuleList cannot be followed", ""},
		{"no version", narrow, func(g *winguest.Guest, _ *guest.Machine) { g.Put64(g.KdVersionBlock+0x10, 0) }, "that of NtBuildLab, 7601.17514", ""},
		{"two versions", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Put16(g.KdVersionBlock+2, 9600) }, "build 9600, and NtBuildLab says \"7601.", ""},
		{"no shared page", wide, func(g *winguest.Guest, _ *guest.Machine) { g.Unmap(g.Shared) }, "KUSER_SHARED_DATA", ""},
		{"no runs", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.MmPhysicalMemoryBlock, nowhere) }, "memory of the machine", ""},
		{"runs elsewhere", wide, func(g *winguest.Guest, _ *guest.Machine) { g.PutDescriptor(winguest.Runs) }, "where the machine has no memory", ""},
		{"runs backwards", narrow, func(g *winguest.Guest, _ *guest.Machine) {
			g.PutDescriptor([]winguest.Run{{Base: 0x180, Count: 1}, {Base: 0x100, Count: 1}})
		}, "MmPhysicalMemoryBlock: run 1", ""},
		{"pages miscounted", narrow, func(g *winguest.Guest, _ *guest.Machine) { g.PutPointer(g.MemoryDescriptor+4, 7) }, "counts 7 pages", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := small(tt.kind)
			m := running(t, g) // of the registers
			tt.change(g, m)
			cpus := m.CPUs
			m = running(t, g) // of the memory as it is now
			m.CPUs = cpus
			err := Identify(t.Context(), m, Options{})
			switch {
			case tt.refused != "":
				if err == nil || !strings.Contains(err.Error(), tt.refused) || !strings.Contains(err.Error(), "elf format") {
					t.Errorf("the error is %v, without %q or what to do", err, tt.refused)
				}
			case err != nil:
				t.Error(err)
			case !strings.Contains(strings.Join(m.Windows.Remarks, "\n"), tt.remark):
				t.Errorf("nothing says %q:\n%s", tt.remark, strings.Join(m.Windows.Remarks, "\n"))
			default:
				if _, err := Header(m.Windows.Header).Runs(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Whatever memory holds, there is a dump whose header can be read and whose
// patches have a place, or an error.
func FuzzFind(f *testing.F) {
	guests := []*winguest.Guest{small(winguest.Kind{Wide: true}), small(winguest.Kind{Wide: true, Encoded: true}), small(winguest.Kind{PAE: true}), small(winguest.Kind{})}
	var images [][]byte
	for i, g := range guests {
		images = append(images, bytes.Clone(g.Image()))
		for _, va := range []uint64{g.Kernel, g.Kernel + 0xe8, g.Kernel + 0x11000, g.KDBG, g.KDBG + 0x210, g.IDT, g.KiProcessorBlock, g.MemoryDescriptor, g.Kernel + 0x2000} {
			f.Add(byte(i), uint32(g.Physical(va)-winguest.Base), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint32(0), []byte{})
		}
	}
	f.Fuzz(func(t *testing.T, which byte, at uint32, p []byte, at2 uint32, p2 []byte) {
		i := int(which) % len(guests)
		image := bytes.Clone(images[i])
		copy(image[at%uint32(len(image)):], p)
		copy(image[at2%uint32(len(image)):], p2)
		m := running(t, guests[i])
		m.Image.Files[0] = ram{bytes.NewReader(image)}
		if err := Identify(t.Context(), m, Options{}); err != nil {
			if m.Windows != nil || !strings.Contains(err.Error(), "elf format") {
				t.Errorf("%v: %v", err, m.Windows)
			}
			return
		}
		h, err := ParseHeader(m.Windows.Header)
		if err == nil {
			_, err = h.Runs()
		}
		if err == nil {
			_, err = m.Image.With(m.Windows.Patches)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// The keys of a KDBG are tried against what it must be, not believed.
func TestDecode(t *testing.T) {
	for i := range 64 {
		k := keys{never: uint64(i) | 0x9d3f_0571_c2e8_4680, always: 0x31c7_fe02_88d1_5a6c, flag: 0xfffff800_02a5bb44}
		seen := map[uint64]bool{}
		for n := range uint64(256) {
			seen[k.decode(n<<(n%57))] = true
		}
		if len(seen) < 200 {
			t.Errorf("key %#x loses bits: %d different ones of 256", k.never, len(seen))
		}
	}
	if got := (keys{}).decode(0x0102030405060708); got != 0x0807060504030201 {
		t.Errorf("without keys the bytes are to be swapped and no more: %#x", got)
	}
}
