package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// crash runs crash's commands on a dump of the guest and returns what it printed.
//
// Debian 12 has crash 8.0.2. It counts two tasks on this kernel and fails in bt, on QEMU's own dump as on ours (fixed in
// 8.0.4 and 9.0.0), so the tests ask it for what needs neither.
func crash(t *testing.T, dump string, commands ...string) string {
	t.Helper()
	program, vmlinux := testkit.Crash(t), testkit.VMLinux(t)
	script := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(script, []byte(strings.Join(append(commands, "quit"), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.Run(t, program, "-s", "-i", script, vmlinux, dump)
	if result.Status != 0 {
		t.Fatalf("crash ended with status %d:\n%s", result.Status, result.Output)
	}
	return result.Output
}

// TestCrashOpens has crash say what it found: the kernel, its version, its memory, and its log up to the last line.
func TestCrashOpens(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	release := kernelRelease(t)
	said := crash(t, dump(t, fixture).Path, "sys", "log")
	for _, want := range []string{
		"CPUS: 2",
		"RELEASE: " + release,
		"MACHINE: x86_64",
		"MEMORY: 1 GB",
		"Linux version " + release,
		"Run /init as init process",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("crash does not say %q:\n%s", want, said)
		}
	}
}

// TestMakedumpfileRefilters has makedumpfile drop all that a kernel developer can do without. It cannot read QEMU's own
// dump (it looks for the program headers right behind the ELF header, where QEMU 7.2 has section headers).
func TestMakedumpfileRefilters(t *testing.T) {
	makedumpfile := testkit.Makedumpfile(t)
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	ours := dump(t, fixture)
	small := filepath.Join(t.TempDir(), "small")
	result := testkit.Run(t, makedumpfile, "-l", "-d", "31", ours.Path, small)
	if result.Status != 0 {
		t.Fatalf("makedumpfile ended with status %d:\n%s", result.Status, result.Output)
	}
	before, after := rig.OnDisk(ours.Path), rig.OnDisk(small)
	if after == 0 || after > before/2 {
		t.Errorf("makedumpfile made %d bytes of %d: it did not see what to drop", after, before)
	}
	if said := crash(t, small, "log"); !strings.Contains(said, "Run /init as init process") {
		t.Errorf("crash does not find the guest's log in makedumpfile's output:\n%s", said)
	}
}

func kernelRelease(t *testing.T) string {
	t.Helper()
	release, err := rig.KernelRelease()
	if err != nil {
		t.Fatal(err)
	}
	return release
}
