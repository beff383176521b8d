package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"guestcore/test/rig"
)

// Limit is how long a program may run in a test before it is killed and the test fails.
const Limit = 3 * time.Minute

// Run runs a program with nothing on stdin in a session of its own.
func Run(t testing.TB, name string, args ...string) rig.Result {
	t.Helper()
	result, err := rig.Run(t.Context(), Limit, t.TempDir(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Guestcore runs the tool under test.
func Guestcore(t testing.TB, args ...string) rig.Result {
	t.Helper()
	return Run(t, Program(t), args...)
}

// GDB runs a gdb in batch mode, without the user's settings.
func GDB(t testing.TB, gdb string, args ...string) rig.Result {
	t.Helper()
	return Run(t, gdb, append([]string{"-nx", "-batch"}, args...)...)
}

// NeedsMount ends the test unless it may mount file systems in a namespace of its own.
func NeedsMount(t testing.TB) {
	t.Helper()
	var err error
	if result := Run(t, "unshare", "--mount", "true"); result.Status != 0 {
		err = &rig.MissingError{What: "the right to mount", Run: "the tests as root, not in a chroot"}
	}
	need(t, struct{}{}, err)
}

// Program is the path of the tool under test, built from this tree.
func Program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "guestcore")
	// Tests of other packages may run the program now: a rename leaves them theirs.
	fresh := fmt.Sprintf("%s.%d", program, os.Getpid())
	cmd := exec.Command("go", "build", "-o", fresh, "./gdbstub")
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building guestcore: %w\n%s", err, output)
	}
	return program, os.Rename(fresh, program)
})

// Root is the top folder of the tree.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working folder: run the tests inside the tree")
		}
		dir = parent
	}
}
