package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// compiled compiles a C program of test/capi against the library.
func compiled(t *testing.T, source string) string {
	t.Helper()
	library, program := testkit.Library(t), filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("gcc", "-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-pthread",
		"-I", library, "-o", program, filepath.Join("..", "capi", source), "-L", library, "-lguestcore", "-Wl,-rpath,"+library).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestCExample runs the example of the C interface.
func TestCExample(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	out := filepath.Join(t.TempDir(), "vmcore")
	r := testkit.Run(t, compiled(t, "example.c"), fixture.Core, out)
	if r.Status != 0 {
		t.Fatalf("status %d:\n%s", r.Status, r.Output)
	}
	for _, want := range []string{"0-0x40000000 ", "0xfffc0000-0x100000000 ROM "} {
		if !strings.Contains(r.Output, want) {
			t.Errorf("it does not print %q:\n%s", want, r.Output)
		}
	}
	testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, fixture.QMPDump))
	failed := testkit.Run(t, compiled(t, "example.c"), "/nonexistent", out)
	if failed.Status != 1 || !strings.Contains(failed.Output, "/nonexistent: ") {
		t.Errorf("status %d:\n%s", failed.Status, failed.Output)
	}
}

// TestCAbuse has a C program call the interface wrongly, and from many threads.
func TestCAbuse(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	l := start(t, rig.Bare)
	program, dir := compiled(t, "abuse.c"), t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	out := filepath.Join(dir, "vmcore")
	r, err := rig.Run(t.Context(), testkit.Limit, dir, program, fixture.Core, fixture.MTree, out, strconv.Itoa(l.PID()))
	must(t, err)
	if r.Status != 0 {
		t.Fatalf("status %d:\n%s", r.Status, r.Output)
	}
	testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, fixture.QMPDump))
	must(t, l.Answers(testkit.Limit))
}
