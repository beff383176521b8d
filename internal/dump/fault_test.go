package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// mountImage makes a file system of so many bytes in a file in dir.
func mountImage(t *testing.T, dir, fstype string, size int64) string {
	t.Helper()
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs."+fstype, "-q", image).CombinedOutput(); err != nil {
		unable(t, "mkfs.%s: %v: install what has it\n%s", fstype, err, out)
	}
	at := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
		unable(t, "mount: %v: run the test as root on a kernel with %s\n%s", err, fstype, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return at
}

// atStart is a Progress that calls when the check for space is over and
// nothing is written yet.
type atStart func()

func (f atStart) Start(int64) { f() }
func (f atStart) Add(int64)   {}

// TestDiskFillsUpEverywhere has the disk of each way of writing fill up behind
// the check.
func TestDiskFillsUpEverywhere(t *testing.T) {
	for _, direct := range []dump.Direct{dump.DirectOff, dump.DirectOn} {
		for _, sparse := range []dump.Sparse{dump.SparseAuto, dump.SparseAlways, dump.SparseNever} {
			t.Run(fmt.Sprintf("direct=%v,sparse=%v", direct, sparse), func(t *testing.T) {
				job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 1 << 20}, dumptest.Part{Addr: 8 << 20, Size: 16 << 20}))
				dir := mountImage(t, t.TempDir(), "ext4", 40<<20)
				other := filepath.Join(dir, "other")
				w := atStart(func() {
					if err := os.WriteFile(other, make([]byte, 20<<20), 0o600); err != nil {
						t.Error(err)
					}
				})
				_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{Direct: direct, Sparse: sparse}, w)
				if !errors.Is(err, dump.ErrNoSpace) || !errors.Is(err, unix.ENOSPC) ||
					!strings.Contains(err.Error(), "guest memory at 0x") || !strings.Contains(err.Error(), "offset 0x") {
					t.Errorf("%v, want ErrNoSpace at an address and an offset", err)
				}
				if got := names(t, dir); got != "lost+found other" {
					t.Errorf("left are %s", got)
				}
			})
		}
	}
}

// TestBrokenDisk writes to a disk that fails: a file system in an image on a
// tmpfs which has no room for it.
func TestBrokenDisk(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    dump.FileOptions
		want string
	}{
		{"seen when written", dump.FileOptions{Direct: dump.DirectOn}, "guest memory at 0x"},
		{"seen when synced", dump.FileOptions{Direct: dump.DirectOff, Sync: true}, "syncing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 24 << 20}))
			dir := mountImage(t, mount(t, "tmpfs", "tmpfs", 0, "size=16m"), "ext4", 64<<20)
			_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), tt.o, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !(errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOSPC)) {
				t.Errorf("%v, want an I/O error … %s", err, tt.want)
			}
			if got := names(t, dir); got != "lost+found" {
				t.Errorf("left are %s", got)
			}
		})
	}
}

func TestKeepPartial(t *testing.T) {
	m := machine(t, dumptest.Part{Addr: 0, Size: 8 << 20}, dumptest.Part{Addr: 16 << 20, Size: 8 << 20})
	job := plan(t, m)
	content := want(t, job)
	if err := m.Image.Files[0].(*os.File).Truncate(1 << 20); err != nil { // which has the second range
		t.Fatal(err)
	}
	if err := m.Image.Files[1].(*os.File).Truncate(5 << 20); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{KeepPartial: true}, nil)
	kept := filepath.Join(dir, names(t, dir))
	if err == nil || !strings.Contains(err.Error(), "kept in "+kept) || !strings.Contains(err.Error(), "guest memory at 0x") {
		t.Fatalf("%v, want the name of what is kept in %s", err, kept)
	}
	if got := read(t, kept); !bytes.Equal(got[:1<<20], content[:1<<20]) {
		t.Error("the first MiB is not that of the dump")
	}
}

// TestCancelKeepsPartial ends a dump from outside.
func TestCancelKeepsPartial(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := dump.ToFile(ctx, job, filepath.Join(dir, "vmcore"), dump.FileOptions{KeepPartial: true}, &watcher{first: cancel})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(names(t, dir), ".vmcore.guestcore-") {
		t.Errorf("%v, left is %q", err, names(t, dir))
	}
}

// TestKill kills a process that writes one dump after the other, at random
// moments: what has the final name is always whole.
func TestKill(t *testing.T) {
	const asked = "GUESTCORE_TEST_KILL"
	job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 3 << 20}, dumptest.Part{Addr: 4 << 20, Size: 5 << 19}))
	if path := os.Getenv(asked); path != "" {
		fmt.Println("ready")
		for {
			if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	content := want(t, job)
	dir, sources := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "vmcore")
	whole, cut := 0, 0
	for range 50 {
		os.RemoveAll(dir)
		os.Mkdir(dir, 0o755)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), asked+"="+path, "TMPDIR="+sources) // nobody cleans up behind it
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(40 * time.Millisecond))
		cmd.Process.Kill()
		cmd.Wait()
		if strings.Contains(names(t, dir), ".guestcore-") {
			cut++
		}
		switch b, err := os.ReadFile(path); {
		case err == nil && bytes.Equal(b, content):
			whole++
		case err == nil:
			t.Fatalf("%s is there and not whole", path)
		case !os.IsNotExist(err):
			t.Fatal(err)
		}
	}
	t.Logf("killed 50 times, %d times while a dump was written; %d times a whole one was there", cut, whole)
	if cut == 0 {
		t.Error("no dump was cut off: nothing was tested")
	}
}
