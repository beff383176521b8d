package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// TestNewReaders has the readers of Debian unstable open a dump of the guest in each format, and what makedumpfile makes of it.
// They must say what they say of QEMU's own dump, the stacks of the running CPUs included.
func TestNewReaders(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	seen, tasks := crash9(t, fixture.QMPDump), drgn(t, fixture.QMPDump)
	for _, want := range []string{"RELEASE: " + kernelRelease(t), "CPUS: 2", "[exception RIP: native_safe_halt+11]", "[kthreadd]", "Run /init as init process", "TOTAL MEM"} {
		if !strings.Contains(seen, want) {
			t.Fatalf("crash does not say %q of QEMU's own dump:\n%s", want, seen)
		}
	}
	if !strings.HasPrefix(tasks, "1 busybox\n") || strings.Count(tasks, "\n") <= 10 || strings.Count(tasks, "#0 ") != 2 {
		t.Fatalf("in QEMU's own dump drgn sees the tasks and stacks:\n%s", tasks)
	}
	for _, test := range []struct {
		name   string
		flags  []string
		filter bool // makedumpfile reads it
		dump   func(*testing.T, *rig.Fixture, ...string) string
	}{
		{"elf", nil, true, dumpFile},
		{"kdump-zlib", []string{"--format", "kdump-zlib"}, true, dumpFile},
		{"kdump-lzo", []string{"--format", "kdump-lzo"}, true, dumpFile},
		{"kdump-lzo, shared", []string{"--format", "kdump-lzo"}, true, sharedFile},
		{"kdump-snappy", []string{"--format", "kdump-snappy"}, false, dumpFile}, // Debian's makedumpfile has no snappy
		{"kdump-zstd", []string{"--format", "kdump-zstd"}, true, dumpFile},
		{"flattened", []string{"--format", "kdump-zlib", "--flattened"}, false, dumpFile}, // makedumpfile -R must come first
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := []string{test.dump(t, fixture, test.flags...)}
			if test.filter {
				files = append(files, refilter(t, files[0]))
			}
			for _, file := range files {
				if diff := cmp.Diff(strings.Split(seen, "\n"), strings.Split(crash9(t, file), "\n")); diff != "" {
					t.Errorf("crash says otherwise (+) of %s than of QEMU's own dump (-):\n%s", file, diff)
				}
				if diff := cmp.Diff(tasks, drgn(t, file)); diff != "" {
					t.Errorf("drgn sees other tasks (+) in %s than in QEMU's own dump (-):\n%s", file, diff)
				}
				kdumpid(t, file)
			}
		})
	}
}

// TestFlattened has makedumpfile undo the flattened form: that gives the file that we write to a disk.
func TestFlattened(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	flat := dumpFile(t, fixture, "--format", "kdump-lzo", "--flattened")
	raw := dumpFile(t, fixture, "--format", "kdump-lzo")
	undone := filepath.Join(t.TempDir(), "undone")
	result := testkit.Run(t, "sh", "-c", `"$0" -R "$1" <"$2" && cmp "$1" "$3"`, testkit.Sid(t, "makedumpfile"), undone, flat, raw)
	if result.Status != 0 {
		t.Errorf("makedumpfile -R and cmp ended with status %d:\n%s", result.Status, result.Output)
	}
}

var dumpfileLine = regexp.MustCompile(`(?m)^ *DUMPFILE: .*\n`)

// crash9 asks crash 9 for the system, the stacks of the CPUs, the tasks, the kernel's log and the memory in use. The answer lacks
// the dump's name; crash may warn of nothing.
func crash9(t *testing.T, dump string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(script, []byte("sys\nbt -a\nps\nlog\nkmem -i\nquit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.Run(t, testkit.Sid(t, "crash"), "-s", "-i", script, testkit.VMLinux(t), dump)
	warnings, answer, ok := strings.Cut(result.Output, "KERNEL: ")
	if result.Status != 0 || !ok {
		t.Fatalf("crash 9 ended with status %d:\n%s", result.Status, result.Output)
	}
	if warnings = strings.TrimSpace(warnings); warnings != "" {
		t.Errorf("crash 9 warns of %s:\n%s", dump, warnings)
	}
	return dumpfileLine.ReplaceAllString(answer, "")
}

// drgn returns the guest's tasks as drgn finds them, each a line of its pid and name, and the stacks of its CPUs.
func drgn(t *testing.T, dump string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "tasks.py")
	const list = `from drgn.helpers.linux.sched import cpu_curr
from drgn.helpers.linux.pid import for_each_task
for task in for_each_task(prog):
    print(task.pid.value_(), task.comm.string_().decode())
for cpu in range(2):
    print(prog.stack_trace(cpu_curr(prog, cpu)))
`
	if err := os.WriteFile(script, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.Run(t, testkit.Sid(t, "drgn"), "--quiet", "--core", dump, "--symbols", testkit.VMLinux(t), script)
	if result.Status != 0 {
		t.Fatalf("drgn ended with status %d:\n%s", result.Status, result.Output)
	}
	return result.Output
}

// kdumpid holds libkdumpfile to finding the architecture and the kernel.
func kdumpid(t *testing.T, dump string) {
	t.Helper()
	result := testkit.Run(t, testkit.Sid(t, "kdumpid"), "-v", dump)
	for _, want := range []string{"Arch: x86_64\n", "Version: " + kernelRelease(t) + "\n"} {
		if result.Status != 0 || !strings.Contains(result.Output, want) {
			t.Errorf("kdumpid ended with status %d and does not say %q:\n%s", result.Status, want, result.Output)
		}
	}
}

// refilter has makedumpfile drop all that a kernel developer can do without, and returns what it wrote.
func refilter(t *testing.T, dump string) string {
	t.Helper()
	small := filepath.Join(t.TempDir(), "small")
	result := testkit.Run(t, testkit.Sid(t, "makedumpfile"), "-l", "-d", "31", dump, small)
	if result.Status != 0 {
		t.Fatalf("makedumpfile ended with status %d:\n%s", result.Status, result.Output)
	}
	if before, after := rig.OnDisk(dump), rig.OnDisk(small); after == 0 || after > before/2 {
		t.Errorf("makedumpfile made %d bytes of %d: it did not see what to drop", after, before)
	}
	return small
}
