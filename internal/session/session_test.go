package session

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guestcore/internal/objfile"
	"guestcore/test/crashed"
)

// open opens a core until the test ends.
func open(t *testing.T, o Options) *Session {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
	return s
}

func buildID(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id, err := objfile.BuildIDFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func mustCopy(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

// crash runs a command of the shell until it crashes, in a folder of its own,
// and returns its core.
func crash(t *testing.T, command string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", append([]string{"-c", "ulimit -c unlimited; " + command, "sh"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || !exit.Sys().(syscall.WaitStatus).CoreDump() {
		t.Fatalf("%s dumped no core: %v\n%s", command, err, out)
	}
	cores, err := filepath.Glob(filepath.Join(dir, "core*"))
	if err != nil || len(cores) != 1 {
		t.Fatalf("cores in %s: %v, %v", dir, cores, err)
	}
	return cores[0]
}

func TestExecutable(t *testing.T) {
	p := crashed.Run(t)
	id := buildID(t, p.Exe)
	wrongID := buildID(t, p.Lib)

	t.Run("as the core names it", func(t *testing.T) {
		s := open(t, Options{Core: p.Core})
		if s.ExePath != p.Exe || s.Exe == nil || s.Exe.BuildID().String() != id || len(s.Warnings) > 0 {
			t.Errorf("executable %q, %v, warnings %q", s.ExePath, s.Exe, s.Warnings)
		}
		if err := s.CheckQEMU(); err == nil || !strings.Contains(err.Error(), "qemu-system") {
			t.Errorf("it is taken for QEMU: %v", err)
		}
		if len(s.WantSymbols()) == 0 {
			t.Error("gdb is not asked for symbols")
		}
	})
	t.Run("wrong", func(t *testing.T) {
		_, err := Open(t.Context(), Options{Core: p.Core, Exe: p.Lib})
		if err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), wrongID) || !strings.HasPrefix(err.Error(), "--exe: ") {
			t.Errorf("%v: want %s and %s", err, id, wrongID)
		}
	})
	t.Run("not there", func(t *testing.T) {
		if _, err := Open(t.Context(), Options{Core: p.Core, Exe: p.Exe + ".no"}); err == nil || !strings.Contains(err.Error(), "--exe") {
			t.Errorf("%v", err)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "moved")
		mustCopy(t, p.Exe, path)
		s := open(t, Options{Core: p.Core, Exe: path})
		if s.Exe == nil || s.Exe.Path() != path || len(s.Warnings) > 0 {
			t.Errorf("executable %v, warnings %q", s.Exe, s.Warnings)
		}
	})
	t.Run("under the sysroot", func(t *testing.T) {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(p.Exe)), 0o755); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, p.Exe, filepath.Join(root, p.Exe))
		s := open(t, Options{Core: p.Core, Sysroot: root})
		if s.Exe == nil || s.Exe.Path() != filepath.Join(root, p.Exe) {
			t.Errorf("executable %v, warnings %q", s.Exe, s.Warnings)
		}
	})
	t.Run("found by build-id", func(t *testing.T) {
		root := t.TempDir()
		path := filepath.Join(root, ".build-id", id[:2], id[2:])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, p.Exe, path)
		s := open(t, Options{Core: p.Core, Sysroot: t.TempDir(), DebugDirs: []string{root}})
		if s.Exe == nil || s.Exe.Path() != path || len(s.Warnings) > 0 {
			t.Errorf("executable %v, warnings %q", s.Exe, s.Warnings)
		}
	})
	t.Run("missing", func(t *testing.T) {
		s := open(t, Options{Core: p.Core, Sysroot: t.TempDir()})
		if s.Exe != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "is not on this machine") || !strings.Contains(s.Warnings[0], "--exe") {
			t.Errorf("executable %v, warnings %q", s.Exe, s.Warnings)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(p.Exe)), 0o755); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, p.Lib, filepath.Join(root, p.Exe))
		s := open(t, Options{Core: p.Core, Sysroot: root})
		if s.Exe != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], id) || !strings.Contains(s.Warnings[0], wrongID) {
			t.Errorf("executable %v, warnings %q", s.Exe, s.Warnings)
		}
	})
}

func TestExecutableStartedByItsLoader(t *testing.T) {
	p := crashed.Run(t)
	exe := filepath.Join(t.TempDir(), "qemu-system-fake")
	mustCopy(t, p.Exe, exe)
	core := crash(t, `exec /lib64/ld-linux-x86-64.so.2 "$1"`, exe)
	s := open(t, Options{Core: core})
	if s.ExePath != exe || s.Exe == nil || len(s.Warnings) > 0 {
		t.Fatalf("executable %q, %v, warnings %q", s.ExePath, s.Exe, s.Warnings)
	}
	checkBias(t, s)
}

func TestExecutableDeleted(t *testing.T) {
	p := crashed.Run(t)
	exe := filepath.Join(t.TempDir(), "upgraded")
	mustCopy(t, p.Exe, exe)
	core := crash(t, `exec 3<"$1"; rm "$1"; exec /proc/self/fd/3`, exe)
	s := open(t, Options{Core: core})
	if s.ExePath != exe+" (deleted)" || s.Exe != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "not on this machine") {
		t.Errorf("executable %q, %v, warnings %q", s.ExePath, s.Exe, s.Warnings)
	}
	s = open(t, Options{Core: core, Exe: p.Exe})
	if s.Exe == nil || len(s.Warnings) > 0 {
		t.Fatalf("with --exe: %v, warnings %q", s.Exe, s.Warnings)
	}
	checkBias(t, s)
}

// checkBias holds the bias against the process: the executable's ELF header
// must be where it says.
func checkBias(t *testing.T, s *Session) {
	t.Helper()
	var magic [4]byte
	for _, seg := range s.Exe.Segments() {
		if seg.Off != 0 || seg.Filesz == 0 {
			continue
		}
		if _, err := s.Process.ReadAt(magic[:], int64(uint64(s.bias)+seg.Vaddr)); err != nil {
			t.Fatal(err)
		}
		break
	}
	if string(magic[:]) != "\x7fELF" {
		t.Errorf("bias %v leads to %q", s.bias, magic)
	}
}

// What is mapped may be a device or a FIFO now: it is not opened.
func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fifo, dir, "/dev/zero"} {
		if f, err := openRegular(name); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	s := &Session{}
	if _, err := s.openMapped(fifo, strings.NewReader("")); err == nil {
		t.Error("a FIFO was opened")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := s.openMapped(file, strings.NewReader("bytes")) // no ELF file: nothing to compare
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "bytes" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestRAMFile(t *testing.T) {
	p := crashed.Run(t)
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "no"): "--ram mem0: ",
		t.TempDir():                      "no regular file",
	} {
		if _, err := Open(t.Context(), Options{Core: p.Core, RAM: map[string]string{"mem0": path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
