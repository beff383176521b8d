package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"guestcore/test/testkit"
	"guestcore/test/winguest"
)

// TestWindowsFile has file(1) tell what our Windows crash dumps are.
func TestWindowsFile(t *testing.T) {
	pages := windowsPages()
	for _, test := range []struct {
		name string
		kind winguest.Kind
		says string
	}{
		{"64", windows64, "MS Windows 64bit crash dump, full dump"},
		{"pae", windowsPAE, "MS Windows 32bit crash dump, PAE, full dump"},
		{"32", windows32, "MS Windows 32bit crash dump, no PAE, full dump"},
	} {
		fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest(test.name, test.kind, false, nil))
		result := testkit.Run(t, "file", "--brief", dumpFile(t, fixture, "-w"))
		if want := fmt.Sprintf("%s, %d pages\n", test.says, len(pages)); result.Status != 0 || result.Output != want {
			t.Errorf("file says %q of the dump, want %q", result.Output, want)
		}
	}
}

// TestWindowsELF dumps such a guest as ELF: the driver's header is in the VMCOREINFO note, as in QEMU's own dump.
func TestWindowsELF(t *testing.T) {
	for name, kind := range map[string]winguest.Kind{"64": windows64, "pae": windowsPAE} {
		fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest(name, kind, false, nil))
		ours, own := dump(t, fixture), testkit.Open(t, fixture.QMPDump)
		testkit.Equal(t, ours, own)
		sameNotes(t, ours, own)
		if note := ours.Note("VMCOREINFO"); note == nil || !bytes.HasPrefix(note.Desc, []byte("PAGE")) {
			t.Errorf("%s: the note is not the driver's header", name)
		}
	}
}

// windowsPages are the addresses of the pages that a dump of the guest has, in the file's order.
func windowsPages() []uint64 {
	var pages []uint64
	for _, r := range winguest.Runs {
		for i := range r.Count {
			pages = append(pages, (r.Base+i)<<12)
		}
	}
	return pages
}

// radarePage is a page as radare2 lists it: its place in the file, and its physical address.
var radarePage = regexp.MustCompile(`(?m)^\d+ +0x([0-9a-f]+) +0x1000 +0x([0-9a-f]+) +0x1000 `)

// TestWindowsRadare2 has radare2, which knows such dumps of 64 bits, read one: the header's fields, where in the file each page
// is, and the pages of the kernel, which are those of QEMU's ELF dump but for the processors' contexts.
func TestWindowsRadare2(t *testing.T) {
	config := windowsGuest("64", windows64, false, nil)
	fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
	dump := dumpFile(t, fixture, "-w")
	const begin, size = winguest.Base, 1 << 20
	result := testkit.Run(t, testkit.Radare2(t), "-N", "-q", "-e", "scr.color=0", "-c", fmt.Sprintf("i;iH;iS;echo MEMORY;p8 %#x @ %#x", size, begin), dump)
	said, memory, ok := strings.Cut(result.Output, "MEMORY\n")
	if result.Status != 0 || !ok {
		t.Fatalf("radare2 ended with status %d:\n%.3000s", result.Status, result.Output)
	}
	g := winguest.New(windows64)
	for _, want := range []string{
		"type     Windows Crash Dump\n", "machine  AMD64\n", fmt.Sprintf("Windows NT Workstation %d.%d\n", winguest.MajorBuild, winguest.Build),
		fmt.Sprintf("DirectoryTableBase : 0x%016x\n", g.CR3()), fmt.Sprintf("PfnDataBase : 0x%016x\n", g.MmPfnDatabase),
		fmt.Sprintf("PsLoadedModuleList : 0x%016x\n", g.PsLoadedModuleList), fmt.Sprintf("PsActiveProcessHead : 0x%016x\n", g.PsActiveProcessHead),
		"MachineImageType : 0x00008664\n", "NumberProcessors : 0x00000002\n", "BugCheckCode : 0x00000161\n",
		fmt.Sprintf("KdDebuggerDataBlock : 0x%016x\n", g.KDBG),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("radare2 does not say %q:\n%.3000s", want, said)
		}
	}
	lines := radarePage.FindAllStringSubmatch(said, -1)
	pages := windowsPages()
	if len(lines) != len(pages) {
		t.Fatalf("radare2 sees %d pages, want %d", len(lines), len(pages))
	}
	for i, line := range lines {
		offset, _ := strconv.ParseUint(line[1], 16, 64)
		address, _ := strconv.ParseUint(line[2], 16, 64)
		if offset != uint64(0x2000+i<<12) || address != pages[i] {
			t.Fatalf("radare2 sees page %d at %#x, offset %#x; want %#x", i, address, offset, pages[i])
		}
	}
	seen, err := hex.DecodeString(strings.TrimSpace(memory))
	if err != nil || len(seen) != size {
		t.Fatalf("%d bytes of memory, %v", len(seen), err)
	}
	own := make([]byte, size)
	if err := testkit.Open(t, fixture.QMPDump).ReadGuest(own, begin); err != nil {
		t.Fatal(err)
	}
	const most = 2 * winguest.CPUs // pages that contexts are in
	if n := otherPages(seen, own); n == 0 || n > most {
		t.Errorf("radare2 reads %d pages otherwise than QEMU's dump has them, want 1 to %d", n, most)
	}
}

// otherPages is how many pages of a and b differ.
func otherPages(a, b []byte) int {
	n := 0
	for i := 0; i < len(a); i += 4096 {
		if !bytes.Equal(a[i:i+4096], b[i:i+4096]) {
			n++
		}
	}
	return n
}
