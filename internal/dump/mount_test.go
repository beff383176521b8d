package dump_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// mount makes a file system and returns its folder. Only root can: others skip
// the test, in CI it fails.
func mount(t *testing.T, source, fstype string, flags uintptr, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount(source, dir, fstype, flags, data); err != nil {
		unable(t, "mounting %s: %v: run the test as root", fstype, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// unable ends a test that this machine cannot run.
func unable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func TestNoSpaceIsSeenBefore(t *testing.T) {
	job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 9 << 20}))
	dir := mount(t, "tmpfs", "tmpfs", 0, "size=8m")
	var w watcher
	w.first = func() { t.Error("something was written") }
	_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, &w)
	if !errors.Is(err, dump.ErrNoSpace) {
		t.Fatalf("%v, want ErrNoSpace", err)
	}
	for _, part := range []string{"needs 94", "(9.0 MiB)", dir + " has 8388608 (8.0 MiB) free", "free 1.0 MiB there or give a file elsewhere"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left are %s", got)
	}
}

// TestZerosNeedNoSpace has zeros in the source that do not fit and need not.
func TestZerosNeedNoSpace(t *testing.T) {
	job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 1 << 20}, dumptest.Part{Addr: 1 << 20, Size: 16 << 20, Kind: dumptest.Zeros}))
	path := filepath.Join(mount(t, "tmpfs", "tmpfs", 0, "size=8m"), "vmcore")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); !errors.Is(err, dump.ErrNoSpace) || !strings.Contains(err.Error(), "--sparse=always") {
		t.Errorf("%v, want what to do", err)
	}
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{Sparse: dump.SparseAlways}, nil); err != nil {
		t.Error(err)
	}
}

func TestHolesNeedNoSpace(t *testing.T) {
	m := machine(t, dumptest.Part{Addr: 0, Size: 1 << 20}, dumptest.Part{Addr: 1 << 20, Size: 1 << 30, Kind: dumptest.Hole})
	job := plan(t, m)
	dir := mount(t, "tmpfs", "tmpfs", 0, "size=8m")
	if _, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil); err != nil {
		t.Error(err)
	}
}

// TestDiskFillsUp has somebody else take the space after the check.
func TestDiskFillsUp(t *testing.T) {
	job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 1 << 20}, dumptest.Part{Addr: 4 << 20, Size: 4 << 20}))
	dir := mount(t, "tmpfs", "tmpfs", 0, "size=8m")
	other := filepath.Join(dir, "other")
	w := &watcher{first: func() {
		if err := os.WriteFile(other, make([]byte, 5<<20), 0o600); err != nil {
			t.Error(err)
		}
	}}
	_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, w)
	if !errors.Is(err, dump.ErrNoSpace) || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "guest memory at 0x") {
		t.Errorf("%v, want ErrNoSpace at an address", err)
	}
	if got := names(t, dir); got != "other" {
		t.Errorf("left are %s", got)
	}
}

// TestTwoDumpsRace: together they do not fit, each for itself does.
func TestTwoDumpsRace(t *testing.T) {
	dir := mount(t, "tmpfs", "tmpfs", 0, "size=24m")
	files := []string{"a", "b"}
	results := make(chan error, len(files))
	for _, name := range files {
		job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 8 << 20}, dumptest.Part{Addr: 16 << 20, Size: 8 << 20}))
		go func() {
			_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, name), dump.FileOptions{}, nil)
			results <- err
		}()
	}
	whole := 0
	for range files {
		if err := <-results; err == nil {
			whole++
		} else if !errors.Is(err, dump.ErrNoSpace) {
			t.Error(err)
		}
	}
	for _, name := range strings.Fields(names(t, dir)) {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Size() < 16<<20 || len(name) != 1 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
		whole--
	}
	if whole != 0 {
		t.Errorf("%d more dumps succeeded than there are", whole)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := mount(t, "tmpfs", "tmpfs", unix.MS_RDONLY, "size=8m")
	_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil)
	if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), dir+"/ is not writable") {
		t.Errorf("%v, want EROFS", err)
	}
}

// TestOtherFileSystem copies where the kernel does not do it for us.
func TestOtherFileSystem(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	path := filepath.Join(mount(t, "tmpfs", "tmpfs", 0, "size=8m"), "vmcore")
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
	if err != nil || !bytes.Equal(read(t, path), content) {
		t.Fatalf("not the same file (%v)", err)
	}
	if s.Holes != 0x18000 {
		t.Errorf("holes %d, want %d", s.Holes, 0x18000)
	}
}

// packed is a job whose file grows as it is written.
type packed struct{ dump.Job }

func (p packed) Plan() dump.Plan {
	plan := p.Job.Plan()
	plan.Packed = true
	return plan
}

// TestNotWrittenOut leaves it to the kernel when the disk gets a file: ext4 writes some out when they are closed.
func TestNotWrittenOut(t *testing.T) {
	path := filepath.Join(mountImage(t, t.TempDir(), "ext4", 64<<20), "vmcore")
	if _, err := dump.ToFile(t.Context(), packed{plan(t, machine(t, small...))}, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	blocks, err := exec.Command("filefrag", "-v", path).CombinedOutput()
	if err != nil {
		unable(t, "filefrag: %v: install e2fsprogs\n%s", err, blocks)
	}
	if !strings.Contains(string(blocks), "delalloc") {
		t.Errorf("the disk has it already:\n%s", blocks)
	}
}
