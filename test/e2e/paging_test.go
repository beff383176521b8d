package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/session"
	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// TestPaging dumps guests with the virtual addresses that their vCPUs have mapped. The program headers, in their order, and
// all bytes are those of QEMU's own dump with paging=true, of all memory and of parts of it.
func TestPaging(t *testing.T) {
	for _, test := range []struct {
		qemu   rig.QEMU
		config rig.Config
	}{
		{testkit.StockQEMU(t), rig.Paging},
		{testkit.StockQEMU(t), rig.Paging5},
		{testkit.DebugQEMU(t), rig.Paging},
		{testkit.SuiteQEMU(t, "trixie"), rig.Paging},
		{testkit.SuiteQEMU(t, "sid"), rig.Paging},
	} {
		t.Run(test.qemu.Name+"/"+test.config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, test.qemu, test.config)
			same := func(ours *vmcore.File, qemus string) {
				t.Helper()
				own := testkit.Open(t, qemus)
				if len(own.Loads) == 0 {
					t.Error("QEMU has no PT_LOAD")
				}
				if err := vmcore.CompareLoads(ours, own); err != nil {
					t.Error(err)
				}
				testkit.Equal(t, ours, own)
			}
			same(dump(t, fixture, "-p", "--sysroot", fixture.QEMU.Root), fixture.PagingDump())
			for _, w := range test.config.Windows {
				begin, length := strconv.FormatUint(w.Begin, 10), strconv.FormatUint(w.Length, 10)
				same(dump(t, fixture, "--paging", "--sysroot", fixture.QEMU.Root, "--begin", begin, "--length", length), fixture.PagingWindowDump(w))
			}
		})
	}
}

// TestPagingBare has no vCPU with paging on: QEMU takes physical addresses for virtual ones then, and so do we.
func TestPagingBare(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	if err := vmcore.CompareLoads(dump(t, fixture, "-p"), testkit.Open(t, fixture.QMPDump)); err != nil {
		t.Error(err)
	}
}

// TestTranslate asks for every page that QEMU's monitor lists (info tlb) and for what lies between them.
func TestTranslate(t *testing.T) {
	for _, config := range []rig.Config{rig.Paging, rig.Paging5} {
		t.Run(config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
			s, err := session.Open(t.Context(), session.Options{Core: fixture.Core})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			vm, err := s.VM()
			if err != nil {
				t.Fatal(err)
			}
			machine, err := vm.Guest("")
			if err != nil {
				t.Fatal(err)
			}
			paging := machine.CPUs[0].State.(*arch.X86).Paging()
			text, err := os.ReadFile(fixture.TLB())
			if err != nil {
				t.Fatal(err)
			}
			// 00007f2a3c000000: 0000000034a1b000 X---DA-UW
			pages := regexp.MustCompile(`(?m)^([0-9a-f]{16}): ([0-9a-f]{16}) .(.)`).FindAllStringSubmatch(string(text), -1)
			if len(pages) < 1000 {
				t.Fatalf("info tlb lists %d pages:\n%.500s", len(pages), text)
			}
			var end uint64 // of the page before
			for _, p := range pages {
				va, pa := hexadecimal(t, p[1]), hexadecimal(t, p[2])
				page, err := paging.Translate(machine.Image, va)
				if err != nil || page.Virt != va || page.Phys != pa {
					t.Fatalf("QEMU says %s, Translate %#x, %v", p[0], page, err)
				}
				if end != 0 && end < va {
					if page, err := paging.Translate(machine.Image, va-1); err == nil {
						t.Fatalf("Translate finds %#x, which QEMU does not list", page)
					}
				}
				end = page.Virt + page.Size
			}
			t.Logf("%d pages", len(pages))
		})
	}
}

func hexadecimal(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPagingGDB has gdb find the guest's kernel in virtual memory: the same backtraces in our dump as in QEMU's.
func TestPagingGDB(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Paging)
	info := testkit.Guestcore(t, "info", fixture.Core)
	offset := regexp.MustCompile(`kernel offset +(0x[0-9a-f]+)`).FindStringSubmatch(info.Output)
	if offset == nil {
		t.Fatalf("info does not say where the kernel runs:\n%s", info.Output)
	}
	backtrace := func(dump string) string {
		result := testkit.GDB(t, testkit.MinimalGDB(t), "-ex", "core-file "+dump,
			"-ex", "add-symbol-file "+testkit.VMLinux(t)+" -o "+offset[1], "-ex", "thread apply all bt", "-ex", "x/s linux_banner")
		_, text, ok := strings.Cut(result.Output, "Thread ")
		if result.Status != 0 || !ok {
			t.Fatalf("gdb ended with status %d:\n%s", result.Status, result.Output)
		}
		return text
	}
	ours, own := backtrace(dumpFile(t, fixture, "-p")), backtrace(fixture.PagingDump())
	for _, want := range []string{"native_safe_halt", "secondary_startup_64", `"Linux version ` + kernelRelease(t)} {
		if !strings.Contains(own, want) {
			t.Fatalf("gdb does not say %q of QEMU's own dump:\n%s", want, own)
		}
	}
	if ours != own {
		t.Errorf("in our dump gdb says\n%s\nin QEMU's\n%s", ours, own)
	}
}
