package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	ourdump "guestcore/internal/dump"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/session"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// TestNoDevice has the readers of Debian unstable open dumps of a guest without a vmcoreinfo device, with the commands that
// guestcore prints: crash says what it says of QEMU's own dump, where it finds the kernel by the vCPUs' registers; drgn, which
// refuses that one, sees the tasks that crash sees; makedumpfile filters it, and both say the same of what it makes.
func TestNoDevice(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Paging)
	const questions = "sys\nbt -a\nps\nlog\nkmem -i\nquit\n"
	seen := ask(t, questions, testkit.VMLinux(t), fixture.QMPDump)
	for _, want := range []string{"RELEASE: " + kernelRelease(t), "[exception RIP: native_safe_halt+", "[kthreadd]", "Run /init as init process", "TOTAL MEM"} {
		if !strings.Contains(seen, want) {
			t.Fatalf("crash does not say %q of QEMU's own dump:\n%s", want, seen)
		}
	}
	if open := testkit.Open(t, fixture.QMPDump); open.Note("VMCOREINFO") != nil {
		t.Fatal("QEMU found a VMCOREINFO note: is there a device?")
	}
	t.Run("lime", func(t *testing.T) { // has no place for a note, and nobody looks for one
		result := testkit.Guestcore(t, "dump", "--format", "lime", fixture.Core, filepath.Join(t.TempDir(), "ram.lime"))
		if result.Status != 0 || strings.Contains(result.Output, "VMCOREINFO was found") || strings.Contains(result.Output, "searching") {
			t.Errorf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
		}
	})
	t.Run("never", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "vmcore")
		result := testkit.Guestcore(t, "dump", "--scan", "never", fixture.Core, out)
		if result.Status != 0 || !strings.Contains(result.Output, "note: guest memory was not searched for VMCOREINFO") || testkit.Open(t, out).Note("VMCOREINFO") != nil {
			t.Errorf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
		}
	})
	for _, test := range []struct {
		name  string
		flags []string
	}{
		{"elf", nil},
		{"elf with paging", []string{"-p"}},
		{"kdump-zlib", []string{"-z"}},
		{"kdump-zstd", []string{"--format", "kdump-zstd"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "vmcore")
			result := testkit.Guestcore(t, append(append([]string{"dump"}, test.flags...), fixture.Core, out)...)
			if result.Status != 0 || !strings.Contains(result.Output, "note: VMCOREINFO was found in guest memory at 0x") ||
				!strings.Contains(result.Output, ", confirmed by the page tables of vCPUs 0, 1\n") {
				t.Fatalf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
			}
			printed := regexp.MustCompile(`(?m)^with (crash|drgn) +(?:crash|drgn) (.*)$`).FindAllStringSubmatch(result.Output, -1)
			if len(printed) != 2 {
				t.Fatalf("it does not print how to open the dump:\n%s", result.Output)
			}
			arguments := func(line string) []string {
				return strings.Fields(strings.ReplaceAll(line, "vmlinux-"+kernelRelease(t), testkit.VMLinux(t)))
			}
			if diff := cmp.Diff(strings.Split(seen, "\n"), strings.Split(ask(t, questions, arguments(printed[0][2])...), "\n")); diff != "" {
				t.Errorf("crash says otherwise (+) than of QEMU's own dump (-):\n%s", diff)
			}
			tasks := drgnTasks(t, arguments(printed[1][2])...)
			if want := tasksOf(t, seen); !slices.Equal(tasks, want) {
				t.Errorf("drgn sees the tasks\n%q\ncrash\n%q", tasks, want)
			}
			if test.flags != nil && test.flags[0] == "-p" {
				return // makedumpfile 1.7.8 filters no dump with paging
			}
			small := refilter(t, out)
			if diff := cmp.Diff(strings.Split(seen, "\n"), strings.Split(ask(t, questions, testkit.VMLinux(t), small), "\n")); diff != "" {
				t.Errorf("crash says otherwise (+) of what makedumpfile made than of QEMU's own dump (-):\n%s", diff)
			}
			if tasks := drgnTasks(t, "-c", small, "-s", testkit.VMLinux(t)); !slices.Equal(tasks, tasksOf(t, seen)) {
				t.Errorf("drgn sees the tasks %q in what makedumpfile made", tasks)
			}
		})
	}
}

// ask asks crash 9; the answer lacks the dump's name and the warnings before.
func ask(t *testing.T, questions string, arguments ...string) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(script, []byte(questions), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.Run(t, testkit.Sid(t, "crash"), append([]string{"-s", "-i", script}, arguments...)...)
	_, answer, ok := strings.Cut(result.Output, "KERNEL: ")
	if result.Status != 0 || !ok {
		t.Fatalf("crash 9 %q ended with status %d:\n%s", arguments, result.Status, result.Output)
	}
	return dumpfileLine.ReplaceAllString(answer, "")
}

// drgnTasks are the pid and the name of each task that drgn sees, sorted.
func drgnTasks(t *testing.T, arguments ...string) []string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "tasks.py")
	const list = `from drgn.helpers.linux.pid import for_each_task
for task in for_each_task(prog):
    print(task.pid.value_(), task.comm.string_().decode())
`
	if err := os.WriteFile(script, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.Run(t, testkit.Sid(t, "drgn"), append(append([]string{"--quiet"}, arguments...), script)...)
	if result.Status != 0 {
		t.Fatalf("drgn %q ended with status %d:\n%s", arguments, result.Status, result.Output)
	}
	return slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(result.Output), "\n")))
}

// tasksOf are the pid and the name of each task but the idle ones in crash's ps, sorted.
func tasksOf(t *testing.T, answer string) []string {
	t.Helper()
	var tasks []string
	// >     1       0   0  ffff8d7dc0238000  RU   0.0     2612     1996  busybox
	for _, task := range regexp.MustCompile(`(?m)^[> ] +(\d+) +\d+ +\d+ +[0-9a-f]{16} +[A-Z]+ +[0-9.]+ +\d+ +\d+ +(.*)$`).FindAllStringSubmatch(answer, -1) {
		if task[1] != "0" {
			tasks = append(tasks, task[1]+" "+strings.Trim(task[2], "[]"))
		}
	}
	if len(tasks) < 10 {
		t.Fatalf("crash sees %d tasks:\n%s", len(tasks), answer)
	}
	slices.Sort(tasks)
	return tasks
}

// identify opens a guest, and finds out what kernel it runs after change.
func identify(t *testing.T, fixture *rig.Fixture, change func(*guest.Machine)) *guest.Machine {
	t.Helper()
	s, err := session.Open(t.Context(), session.Options{Core: fixture.Core, Sysroot: fixture.QEMU.Root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	vm, err := s.VM()
	if err != nil {
		t.Fatal(err)
	}
	machine, err := vm.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(machine)
	}
	if err := linux.Identify(t.Context(), machine, ourdump.NoProgress{}); err != nil {
		t.Fatal(err)
	}
	return machine
}

// TestKernel finds the kernel in three ways, which must agree: by what the guest left in the device, by a search of its
// memory and, with that note taken away, by page tables and interrupt handlers alone. Then crash opens a dump without any
// notes on the vCPUs and the kernel, with the flags that guestcore prints for it.
func TestKernel(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	device := identify(t, fixture, nil)
	k := device.Kernel
	if k.Note != "in the vmcoreinfo device, confirmed by the page tables of vCPUs 0, 1" || k.Release != kernelRelease(t) || len(device.Warnings) > 0 {
		t.Fatalf("%+v, %q", k, device.Warnings)
	}
	info := linux.ParseInfo(device.VMCoreInfo)
	if said, ok := info.Number("phys_base"); !ok || said != *k.PhysBase {
		t.Errorf("phys_base is %#x, the kernel says %#x", *k.PhysBase, said)
	}
	var note []byte
	found := identify(t, fixture, func(m *guest.Machine) { note, m.VMCoreInfo = m.VMCoreInfo, nil })
	if !bytes.Equal(note, found.VMCoreInfo) || !strings.Contains(found.Kernel.Note, "confirmed by the page tables of vCPUs 0, 1") {
		t.Errorf("the search finds (%s) %q,\nthe guest left %q", found.Kernel.Note, found.VMCoreInfo, note)
	}
	blind := identify(t, fixture, func(m *guest.Machine) {
		m.VMCoreInfo, m.Image.Map = nil, m.Image.Map.Clone()
		page := extent.Extent[addr.GPA, addr.FileOff]{Addr: *found.Kernel.NoteAddr, Size: 4096, Kind: extent.Zero}
		if err := m.Image.Map.Insert(page); err != nil {
			t.Fatal(err)
		}
	})
	if b := blind.Kernel; b.Note != "" || *b.PhysBase != *k.PhysBase || *b.Offset != *k.Offset {
		t.Fatalf("without a note phys_base is %#x, the offset %#x; want %#x, %#x", *b.PhysBase, *b.Offset, *k.PhysBase, *k.Offset)
	}
	blind.CPUs = nil
	job, err := vmcore.Format{}.Plan(blind, ourdump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "vmcore")
	if _, err := ourdump.ToFile(t.Context(), job, out, ourdump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(linux.OpenWith(blind, out, false).Crash)
	if len(words) != 6 || !strings.HasPrefix(words[1], "--kaslr=0x") || words[2] != "-m" {
		t.Fatalf("the command is %q", words)
	}
	words[4] = testkit.VMLinux(t)
	if answer := ask(t, "sys\nquit\n", words[1:]...); !strings.Contains(answer, "RELEASE: "+kernelRelease(t)) {
		t.Errorf("crash says\n%s", answer)
	}
}

// TestInfoKernel has the program say what it knows of the kernel.
func TestInfoKernel(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Paging)
	result := testkit.Guestcore(t, "info", "--json", fixture.Core)
	var info struct {
		Kernel struct {
			System, Release string
			Confirmed       []int `json:"confirmed_by_vcpus"`
			Open            struct{ Crash, Drgn string }
		}
	}
	if err := json.Unmarshal([]byte(result.Output), &info); err != nil || result.Status != 0 {
		t.Fatalf("status %d, %v:\n%s", result.Status, err, result.Output)
	}
	k := info.Kernel
	if k.System != "Linux" || k.Release != kernelRelease(t) || !slices.Equal(k.Confirmed, []int{0, 1}) ||
		k.Open.Crash != "crash vmlinux-"+k.Release+" FILE" || k.Open.Drgn != "drgn -c FILE -s vmlinux-"+k.Release {
		t.Errorf("%+v", k)
	}
	server := serve(t, "", fixture.Core)
	monitor(t, connect(t, server), "info kernel", "kernel         Linux "+k.Release, "VMCOREINFO     found in guest memory at", "with crash     crash vmlinux-")
	bare := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	if result := testkit.Guestcore(t, "info", bare.Core); result.Status != 0 || !strings.Contains(result.Output, "\nkernel         unknown\nVMCOREINFO     none\n\n") {
		t.Errorf("of a guest that never ran info says, with status %d:\n%s", result.Status, result.Output)
	}
}
