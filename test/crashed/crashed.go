// Package crashed makes the cores of small C programs: a process that is
// known in all its parts, in half a second.
package crashed

import (
	"bytes"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

//go:embed testdata/crash.c
var source []byte

//go:embed testdata/lib.c
var library []byte

//go:embed testdata/late.c
var late []byte

// Program is a program that crashed.
type Program struct {
	Exe  string
	Lib  string // the library that is linked to it
	Core string
	Args []string // with the name of the program
	PID  int
}

// Run compiles the program with more flags for gcc, such as -no-pie, runs it
// until it crashes and returns what is left.
func Run(t testing.TB, flags ...string) Program {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		Missing(t, "gcc is missing: apt install gcc libc6-dev")
	}
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	if p := strings.TrimSpace(string(pattern)); p == "" || strings.ContainsAny(p[:1], "|/") {
		Missing(t, "cores do not land in the working folder: run  sysctl kernel.core_pattern=core  (it is "+p+")")
	}
	dir := t.TempDir()
	lib := filepath.Join(dir, "libcrash.so")
	compile(t, gcc, library, "-g", "-fPIC", "-shared", "-o", lib)
	compile(t, gcc, late, "-g", "-fPIC", "-shared", "-o", filepath.Join(dir, "libnear.so"), "-DINITIAL_EXEC")
	compile(t, gcc, late, "-g", "-fPIC", "-shared", "-o", filepath.Join(dir, "libfar.so"))
	exe := filepath.Join(dir, "crash")
	args := append([]string{"-g", "-O1", "-pthread", "-o", exe, `-DDIR="` + dir + `"`}, flags...)
	compile(t, gcc, source, append(args, "-Wl,-rpath,"+dir, lib)...)
	return crash(t, dir, Program{Exe: exe, Lib: lib, Args: []string{exe, "one", "two words", ""}})
}

// crash runs the program in dir and finds its core.
func crash(t testing.TB, dir string, p Program) Program {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$0" "$@"`}, p.Args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).CoreDump() {
		t.Fatalf("%s dumped no core: %v\n%s", p.Exe, err, out)
	}
	p.PID = cmd.Process.Pid
	cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
	if len(cores) != 1 {
		t.Fatalf("cores in %s: %v", dir, cores)
	}
	p.Core = cores[0]
	return p
}

// Missing skips the test because of what; in CI (environment variable CI set)
// it fails, so that nothing is left out in silence.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// compile compiles C source. What is to be linked follows the flags.
func compile(t testing.TB, gcc string, source []byte, args ...string) {
	t.Helper()
	out := args[slices.Index(args, "-o")+1]
	file := out + ".c"
	if err := os.WriteFile(file, source, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gcc, append([]string{file}, args...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, bytes.TrimSpace(said))
	}
}
