package e2e

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/winguest"
)

// Kinds of guests that look like Windows.
var (
	windows64      = winguest.Kind{Wide: true}
	windowsEncoded = winguest.Kind{Wide: true, Encoded: true}
	windowsPAE     = winguest.Kind{PAE: true}
	windows32      = winguest.Kind{}
)

// windowsGuest is a guest of a kind, changed before it is booted if change is not nil.
func windowsGuest(name string, k winguest.Kind, refused bool, change func(*winguest.Guest)) rig.Config {
	g := winguest.New(k)
	if change != nil {
		change(g)
	}
	return rig.WindowsGuest("windows-"+strings.ReplaceAll(name, " ", "-"), g, refused)
}

// TestWindows dumps guests that look like Windows as Windows crash dumps. The file is QEMU's own of the stopped guest, byte for
// byte.
func TestWindows(t *testing.T) {
	stock := testkit.StockQEMU(t)
	debug, trixie, sid := testkit.DebugQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")
	for _, test := range []struct {
		name   string
		qemu   rig.QEMU
		kind   winguest.Kind
		change func(*winguest.Guest)
	}{
		{"64", stock, windows64, nil},
		{"64", debug, windows64, nil},
		{"64", trixie, windows64, nil},
		{"64", sid, windows64, nil},
		{"pae", stock, windowsPAE, nil},
		{"pae", debug, windowsPAE, nil},
		{"pae", trixie, windowsPAE, nil},
		{"pae", sid, windowsPAE, nil},
		{"32", stock, windows32, nil},
		{"encoded", stock, windowsEncoded, nil},
		{"crashed", stock, windows64, crashed},
		{"crashed 32", stock, windowsPAE, crashed},
		// What the driver left of the bugcheck stays.
		{"bugcheck unreadable", stock, windows64, func(g *winguest.Guest) { g.PutPointer(g.KDBG+0x88, 0x1000_0000) }},
		{"one processor", stock, windows64, func(g *winguest.Guest) { g.SetHeader(1, 0x34, 0x24) }},
		{"no memory behind a run", stock, windows64, func(g *winguest.Guest) {
			g.SetRuns([]winguest.Run{{Base: 1, Count: 0x9e}, {Base: 0x1ff0, Count: 0x20}, {Base: 0x4000, Count: 3}})
		}},
	} {
		t.Run(test.qemu.Name+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			fixture := testkit.Boot(t, test.qemu, windowsGuest(test.name, test.kind, false, test.change))
			flags := [][]string{{"-w"}}
			if test.change == nil && test.qemu.Name == stock.Name {
				flags = append(flags, []string{"--format", rig.WindowsDump})
			}
			for _, f := range flags {
				sameFile(t, dumpFile(t, fixture, append(f, "--sysroot", fixture.QEMU.Root)...), fixture.Dump(rig.WindowsDump))
			}
		})
	}
}

// TestWindowsWays has the dump made in gdb, in the words of QEMU's monitor, and come out of a pipe.
func TestWindowsWays(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest("64", windows64, false, nil))
	own, out := fixture.Dump(rig.WindowsDump), filepath.Join(t.TempDir(), "memory.dmp")
	result := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+serve(t, "", fixture.Core).Address, "monitor dump-guest-memory -w "+out)...)
	if result.Status != 0 {
		t.Fatalf("gdb ended with status %d:\n%s", result.Status, result.Output)
	}
	sameFile(t, out, own)
	result = testkit.Run(t, "sh", "-c", `"$0" dump -w "$1" - | cmp - "$2"`, testkit.Program(t), fixture.Core, own)
	if result.Status != 0 || strings.Contains(result.Output, "EOF") {
		t.Errorf("cmp ended with status %d:\n%s", result.Status, result.Output)
	}
}

// crashed has the guest tell of a bugcheck: the code and its parameters.
func crashed(g *winguest.Guest) {
	step := uint64(len(g.Header) / 1024)
	for i, v := range []uint64{0xd1, g.Kernel + 0x1234, 2, 0, g.Kernel + 0x4321} {
		g.PutPointer(g.KiBugcheckData+uint64(i)*step, v)
	}
}

// TestWindowsWithoutNote has the header made from guest memory. It agrees with the one that the driver left, wherever that says
// anything, and so does all behind it with QEMU's own dump.
func TestWindowsWithoutNote(t *testing.T) {
	stock, debug := testkit.StockQEMU(t), testkit.DebugQEMU(t)
	for _, test := range []struct {
		name   string
		qemu   rig.QEMU
		kind   winguest.Kind
		change func(*winguest.Guest)
	}{
		{"64", stock, windows64, nil},
		{"64", debug, windows64, nil},
		{"encoded", stock, windowsEncoded, nil},
		{"pae", stock, windowsPAE, nil},
		{"32", stock, windows32, nil},
		{"crashed", stock, windows64, crashed},
	} {
		t.Run(test.qemu.Name+"/"+test.name, func(t *testing.T) {
			t.Parallel()
			g := winguest.New(test.kind)
			if test.change != nil {
				test.change(g)
			}
			fixture := testkit.Boot(t, test.qemu, windowsGuest(test.name, test.kind, false, test.change))
			want := contents(t, fixture.Dump(rig.WindowsDump))
			if test.kind.Encoded {
				// The driver made a copy that is not encoded; ours is in the place of the kernel's.
				binary.LittleEndian.PutUint64(want[0x80:], g.KDBG)
				copy(want[inDump(g, g.KDBG):], g.Bytes(g.DriverKDBG, 0x380))
			}
			ours := contents(t, dumpFile(t, fixture, "-w", "--ignore-note"))
			agree(t, g, ours, want)

			g.Silent = true
			silent := testkit.Boot(t, test.qemu, rig.WindowsGuest("windows-silent-"+test.name, g, true))
			if said, err := silent.Refusal(rig.WindowsDump); err != nil || !strings.Contains(said, "invalid vmcoreinfo note size") {
				t.Errorf("QEMU says %q, %v", said, err)
			}
			agree(t, g, contents(t, dumpFile(t, silent, "-w"))[:len(g.Header)], want[:len(g.Header)])
		})
	}
}

// TestWindowsRecognized names a Windows guest whose driver handed nothing over, by the kernel that its vCPUs enter, and searches no
// memory for what Linux has.
func TestWindowsRecognized(t *testing.T) {
	const notSearched = "VMCOREINFO, which Linux has, was not searched for"
	for name, kind := range map[string]winguest.Kind{"64": windows64, "pae": windowsPAE, "32": windows32} {
		g := winguest.New(kind)
		g.Silent = true
		fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.WindowsGuest("windows-silent-"+name, g, true))
		dump := dumpFile(t, fixture)
		for _, source := range []string{fixture.Core, dump, fixture.QMPDump} {
			for scan, recognized := range map[string]bool{"auto": true, "never": true, "always": false} {
				result := testkit.Guestcore(t, "info", "--scan", scan, source)
				if result.Status != 0 || strings.Contains(result.Output, "Windows 6.1") != recognized || strings.Contains(result.Output, notSearched) != recognized ||
					recognized && !strings.Contains(result.Output, "--format win-dmp") {
					t.Errorf("%s: info --scan %s %s: status %d:\n%s", name, scan, source, result.Status, result.Output)
				}
			}
		}
		result := testkit.Guestcore(t, "dump", "--format", "kdump-lzo", fixture.Core, filepath.Join(t.TempDir(), "dump"))
		if result.Status != 0 || !strings.Contains(result.Output, notSearched) {
			t.Errorf("%s: dump: status %d:\n%s", name, result.Status, result.Output)
		}
	}
}

// TestWindowsFromELF makes a crash dump of QEMU's own ELF dump of a guest whose driver handed nothing over: its notes have the
// registers that lead to the kernel.
func TestWindowsFromELF(t *testing.T) {
	for name, kind := range map[string]winguest.Kind{"64": windows64, "encoded": windowsEncoded, "pae": windowsPAE} {
		g := winguest.New(kind)
		g.Silent = true
		fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.WindowsGuest("windows-silent-"+name, g, true))
		out := filepath.Join(t.TempDir(), "dump")
		result := testkit.Guestcore(t, "convert", "--format", rig.WindowsDump, fixture.QMPDump, out)
		if result.Status != 0 {
			t.Fatalf("guestcore convert ended with status %d:\n%s", result.Status, result.Output)
		}
		agree(t, g, contents(t, out)[:len(g.Header)], contents(t, dumpFile(t, fixture, "-w"))[:len(g.Header)])
	}
}

// agree fails the test unless two dumps are the same but for what the driver's header says nothing of.
func agree(t *testing.T, g *winguest.Guest, ours, want []byte) {
	t.Helper()
	if len(ours) != len(want) {
		t.Errorf("our file has %d bytes, the other %d", len(ours), len(want))
	}
	said := 0
	for i := range min(len(ours), len(want)) {
		if i < len(g.Header) {
			if g.Header[i] == "PAGE"[i%4] && want[i] == g.Header[i] {
				continue // nothing, or the signature
			}
			said++
		}
		if ours[i] != want[i] {
			t.Fatalf("at %#x our file has %#x, the other %#x", i, ours[i:min(i+16, len(ours))], want[i:min(i+16, len(want))])
		}
	}
	if said < 120 {
		t.Errorf("the driver's header says only %d bytes", said)
	}
}

// inDump is where a dump has what is at a virtual address.
func inDump(g *winguest.Guest, va uint64) uint64 {
	off, pa := uint64(len(g.Header)), g.Physical(va)
	for _, r := range winguest.Runs {
		if pa >= r.Base<<12 && pa < (r.Base+r.Count)<<12 {
			return off + pa - r.Base<<12
		}
		off += r.Count << 12
	}
	panic("no run has it")
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNoWindows asks for the dump of a Windows in guests that run none.
func TestNoWindows(t *testing.T) {
	stock := testkit.StockQEMU(t)
	for _, test := range []struct {
		config rig.Config
		flags  []string
		says   []string
	}{
		{rig.Bare, nil, []string{"no vCPU has", "page tables"}},
		{rig.PC, nil, []string{"Linux"}},
		{rig.PC, []string{"--ignore-note"}, []string{"the kernel of Windows was not found", "vCPU 0: no image", "vCPU 1: no image"}},
	} {
		fixture, dir := testkit.Boot(t, stock, test.config), t.TempDir()
		args := append([]string{"dump", "-w"}, test.flags...)
		refused(t, testkit.Guestcore(t, append(args, fixture.Core, filepath.Join(dir, "dump"))...), append(test.says, "elf")...)
		empty(t, dir)
	}
}

// sameFile fails the test unless two files are the same, and not empty.
func sameFile(t *testing.T, path, want string) {
	t.Helper()
	a, b := contents(t, path), contents(t, want)
	if len(a) != len(b) || len(b) == 0 {
		t.Errorf("%s has %d bytes, and QEMU's file %d", path, len(a), len(b))
	}
	if bytes.Equal(a, b) {
		return
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("at %#x %s has %#x, and QEMU's file %#x", i, path, a[i:min(i+16, len(a))], b[i:min(i+16, len(b))])
		}
	}
}

// TestWindowsRefused breaks what QEMU checks, one thing at a time. QEMU refuses to dump the guest, and so does guestcore, which
// says what to do.
func TestWindowsRefused(t *testing.T) {
	const nowhere = 0x1000_0000 // no page table has it
	for _, test := range []struct {
		name   string
		kind   winguest.Kind
		change func(*winguest.Guest)
		qemu   string
		says   []string
	}{
		{"note size", windows64, func(g *winguest.Guest) { g.NoteSize -= 4 }, "invalid vmcoreinfo note size", []string{"8188", "8192"}},
		{"note size 32", windowsPAE, func(g *winguest.Guest) { g.NoteSize += 4 }, "invalid vmcoreinfo note size", []string{"4100", "4096"}},
		{"signature", windows64, func(g *winguest.Guest) { copy(g.Header, "PAGF") }, "expected 'PAGE', got 'PAGF'", []string{"PAGE", `"PAGF"`}},
		{"width", windowsPAE, func(g *winguest.Guest) { copy(g.Header[4:], "DUMB") }, "expected 'DUMP' or 'DU64', got 'DUMB'", []string{`"DUMB"`}},
		{"no such tables", windows64, func(g *winguest.Guest) { g.SetPointer(0x1800000, 0x10, 0x10) }, "failed to read OwnerTag", []string{"KDBG"}},
		{"KDBG nowhere", windows64, func(g *winguest.Guest) { g.SetPointer(nowhere, 0x80, 0x60) }, "failed to read OwnerTag", []string{"KDBG", "0x10000000"}},
		{"no tag", windows64, func(g *winguest.Guest) {
			g.Put(g.KDBG+0x10, []byte("KDBH"))
			g.SetPointer(g.KDBG, 0x40, 0x2c)
		}, "expected 'KDBG', got 'KDBH'", []string{"KDBG", `"KDBH"`}},
		{"no tag 32", windowsPAE, func(g *winguest.Guest) {
			g.Put(g.KDBG+0x10, []byte("KDBH"))
			g.SetPointer(g.KDBG, 0x40, 0x2c)
		}, "expected 'KDBG', got 'KDBH'", []string{"KDBG", `"KDBH"`}},
		{"encoded, no copy", windowsEncoded, func(g *winguest.Guest) { g.SetPointer(nowhere, 0x40, 0x2c) }, "failed to read OwnerTag", []string{"KDBG"}},
		{"no KiProcessorBlock", windows64, func(g *winguest.Guest) { shortKDBG(g, 0x1f0) }, "failed to read KiProcessorBlock", []string{"KiProcessorBlock"}},
		{"no OffsetPrcbContext", windows64, func(g *winguest.Guest) { shortKDBG(g, 0x300) }, "failed to read OffsetPrcbContext", []string{"OffsetPrcbContext"}},
		{"no PRCB", windows64, func(g *winguest.Guest) { g.PutPointer(g.KDBG+0x218, nowhere) }, "CPU #0 PRCB location", []string{"processor 0", "PRCB"}},
		{"no context's place", windowsPAE, func(g *winguest.Guest) { g.PutPointer(g.KiProcessorBlock+4, nowhere) },
			"CPU #1 ContextFrame location", []string{"processor 1", "context"}},
		{"no context", windows64, func(g *winguest.Guest) { g.PutPointer(g.PRCB[1]+0x2e18, nowhere) }, "failed to save CPU #1 context", []string{"processor 1", "0x10000000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest(test.name, test.kind, true, test.change))
			refusal, err := fixture.Refusal(rig.WindowsDump)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(refusal, test.qemu) {
				t.Errorf("QEMU says %q, not %q", refusal, test.qemu)
			}
			dir := t.TempDir()
			refused(t, testkit.Guestcore(t, "dump", "-w", fixture.Core, filepath.Join(dir, "dump")), append(test.says, "elf")...)
			empty(t, dir)
		})
	}
}

// shortKDBG moves KDBG so that only n bytes of it are in memory.
func shortKDBG(g *winguest.Guest, n uint64) {
	block := g.Bytes(g.KDBG, 0x380)
	page := uint64(0xfffff880_01000000)
	g.Map(page, 4096)
	at := page + 4096 - n
	g.Put(at, block[:n])
	g.SetPointer(at, 0x80, 0x60)
}
