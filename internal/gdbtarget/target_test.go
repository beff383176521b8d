package gdbtarget_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"guestcore/internal/gdbtarget"
	"guestcore/internal/inferior"
	"guestcore/internal/rsp"
	"guestcore/internal/session"
	"guestcore/test/crashed"
)

// target opens a crashed program.
func target(t *testing.T, program crashed.Program) (*gdbtarget.Target, inferior.Process) {
	t.Helper()
	s, err := session.Open(t.Context(), session.Options{Core: program.Core})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	target, err := gdbtarget.New(s.Process, gdbtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return target, s.Process
}

func read(t *testing.T, target *gdbtarget.Target, name string) string {
	t.Helper()
	f, err := target.OpenFile(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestThreads(t *testing.T) {
	program := crashed.Run(t)
	target, p := target(t, program)
	ids := target.Threads()
	if tid, signal := target.Stop(); tid != ids[0] || signal != 11 || int(tid) != p.Threads()[0].TID {
		t.Errorf("stopped in %d by %d", tid, signal)
	}
	for _, id := range ids {
		info := target.ThreadInfo(id)
		if ok, _ := regexp.MatchString(fmt.Sprintf(`^Thread 0x[0-9a-f]+ \(LWP %d\)$`, id), info.IDStr); !ok || len(info.Handle) != 8 {
			t.Errorf("thread %d: %+v", id, info)
		}
		siginfo, err := target.Xfer("siginfo", "", id)
		if (err == nil) != (id == ids[0]) || err == nil && len(siginfo) != 128 {
			t.Errorf("thread %d: %d bytes of siginfo, %v", id, len(siginfo), err)
		}
	}
	const nobody = rsp.TID(1 << 30)
	if _, err := target.Registers(nobody); err == nil {
		t.Error("a thread that is not there has registers")
	}
	if exe, err := target.Xfer("exec-file", "", ids[0]); err != nil || string(exe) != program.Exe {
		t.Errorf("executable %s, %v", exe, err)
	}
}

// Only files of the process are given to gdb, and only in the right build.
func TestFiles(t *testing.T) {
	program := crashed.Run(t)
	other := crashed.Run(t, "-O0")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(program.Lib, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other.Exe, program.Exe); err != nil {
		t.Fatal(err)
	}
	target, p := target(t, program)
	want, err := os.ReadFile(program.Lib)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{program.Lib, link} {
		if read(t, target, name) != string(want) {
			t.Errorf("%s is not the library", name)
		}
	}
	for name, why := range map[string]string{
		"/etc/passwd":                        "the process had not mapped it",
		"just probing":                       "no such file",
		program.Exe:                          "it was replaced",
		"/proc/1/maps":                       "another process",
		"/proc/version":                      "not made here",
		fmt.Sprintf("/proc/%d/mem", p.PID()): "not made here",
		fmt.Sprintf("/proc/%d/cwd", p.PID()): "not known",
	} {
		if _, err := target.OpenFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s (%s): %v", name, why, err)
		}
		if _, err := target.Readlink(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("link %s: %v", name, err)
		}
	}
	// The text of the executable is in the file alone.
	entry, _ := inferior.AuxValue(p, inferior.AT_ENTRY)
	if n, err := target.ReadMemory(target.Threads()[0], make([]byte, 8), entry); n != 0 || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("text of another build: %d bytes, %v", n, err)
	}
}

func TestProcFiles(t *testing.T) {
	program := crashed.Run(t)
	target, p := target(t, program)
	proc := fmt.Sprintf("/proc/%d/", p.PID())
	if got, want := read(t, target, proc+"cmdline"), strings.Join(program.Args, "\x00")+"\x00"; got != want {
		t.Errorf("command line %q, not %q", got, want)
	}
	if exe, err := target.Readlink(proc + "exe"); err != nil || exe != program.Exe {
		t.Errorf("executable %s, %v", exe, err)
	}
	maps := read(t, target, proc+"maps")
	if task := read(t, target, fmt.Sprintf("%stask/%d/maps", proc, target.Threads()[1])); task != maps {
		t.Error("the maps of a thread are not those of the process")
	}
	line := regexp.MustCompile(`^[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-]p [0-9a-f]{8,} 00:00 0( +\S.*)?$`)
	count := 0
	for l := range strings.Lines(maps) {
		if count++; !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("line %q", l)
		}
	}
	if want := len(p.(inferior.Regioner).Regions()); count != want {
		t.Errorf("%d lines for %d mappings", count, want)
	}
	for _, m := range p.Files() {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^%08x-%08x \S+ %08x .* %s$`,
			uint64(m.Start), uint64(m.End), m.Offset, regexp.QuoteMeta(m.Path))).MatchString(maps) {
			t.Errorf("no line for %+v", m)
		}
	}
	for _, label := range []string{"[stack]", "[vdso]", "[vsyscall]"} {
		if strings.Count(maps, label) != 1 {
			t.Errorf("no %s in\n%s", label, maps)
		}
	}
}

// A core that was cut short is served, its lost memory is not there.
func TestTruncated(t *testing.T) {
	program := crashed.Run(t)
	st, err := os.Stat(program.Core)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(program.Core, st.Size()/2); err != nil {
		t.Fatal(err)
	}
	target, p := target(t, program)
	if regs, err := target.Registers(target.Threads()[0]); err != nil || regs[0].Data == nil {
		t.Errorf("registers: %v", err)
	}
	last := p.(inferior.Regioner).Regions()
	a := last[len(last)-2].Start // the one before vsyscall, which the kernel stores
	if n, err := target.ReadMemory(target.Threads()[0], make([]byte, 8), uint64(a)); n != 0 || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("lost memory: %d bytes, %v", n, err)
	}
}
