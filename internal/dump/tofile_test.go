package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/guest"
)

// small is a guest of a few hundred KiB with everything in it.
var small = []dumptest.Part{
	{Addr: 0, Size: 0x20000},
	{Addr: 0x20000, Size: 0x10000, Kind: dumptest.Hole},
	{Addr: 0x30000, Size: 0x8000, Kind: dumptest.Zero},
	{Addr: 0x100000, Size: 0x12000},
}

func plan(t testing.TB, m *guest.Machine) dump.Job {
	t.Helper()
	job, err := vmcore.Format{}.Plan(m, dump.Options{Creator: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// machine makes a guest with its source files in a folder of their own.
func machine(t testing.TB, parts ...dumptest.Part) *guest.Machine {
	t.Helper()
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	return dumptest.Machine(t, t.TempDir(), g, parts...)
}

// want is the file that a job writes, as plain bytes.
func want(t testing.TB, job dump.Job) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "want")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// names are the files in a folder.
func names(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range entries {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

// watcher is a Progress that calls at once, when told of the first bytes.
type watcher struct {
	total, done atomic.Int64
	first       func()
}

func (w *watcher) Start(total int64) { w.total.Store(total) }

func (w *watcher) Add(n int64) {
	if w.done.Add(n) == n && w.first != nil {
		w.first()
	}
}

func TestRegularFile(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	stale := filepath.Join(dir, ".vmcore.guestcore-123")
	if err := os.WriteFile(stale, []byte("left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "vmcore")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	var w watcher
	w.first = func() {
		if string(read(t, path)) != "old" {
			t.Error("the old file is gone before the new one is whole")
		}
		if !strings.Contains(names(t, dir), ".vmcore.guestcore-") {
			t.Errorf("no temporary file: %s", names(t, dir))
		}
	}
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{Sync: true}, &w)
	if err != nil {
		t.Fatal(err)
	}
	if old, _ := io.ReadAll(held); string(old) != "old" {
		t.Errorf("who had the old file open now reads %q", old)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Size() != s.Size || fi.Mode() != 0o600 {
		t.Errorf("%v, %v; want %d bytes, mode 0600", fi, err, s.Size)
	}
	if s.Path != path || s.Memory != 0x4a000 || w.total.Load() != s.Memory || w.done.Load() != s.Memory {
		t.Errorf("summary %+v, progress %d of %d", s, w.done.Load(), w.total.Load())
	}
	if got := names(t, dir); got != ".vmcore.guestcore-123 vmcore" {
		t.Errorf("the folder holds %s", got)
	}
	if string(read(t, stale)) != "left over" {
		t.Error("the stale file was written to")
	}
}

func TestSymbolicLinks(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	for _, tt := range []struct{ name, link, target string }{
		{"to a file", "real", "real"},
		{"dangling", "none", "none"},
		{"to a link", "hop", "sub/real"},
		{"through a linked folder and back", "deep/../beside", "sub/beside"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{"sub", "sub/inner"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			os.WriteFile(filepath.Join(dir, "real"), nil, 0o600)
			os.WriteFile(filepath.Join(dir, "sub/real"), nil, 0o600)
			os.Symlink("sub/real", filepath.Join(dir, "hop"))
			os.Symlink("sub/inner", filepath.Join(dir, "deep"))
			link := filepath.Join(dir, "link")
			if err := os.Symlink(tt.link, link); err != nil {
				t.Fatal(err)
			}
			s, err := dump.ToFile(t.Context(), job, link, dump.FileOptions{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(dir, tt.target)
			if s.Path != target || !bytes.Equal(read(t, target), content) {
				t.Errorf("written to %s, want %s", s.Path, target)
			}
			if to, err := os.Readlink(link); to != tt.link {
				t.Errorf("the link is %q now (%v)", to, err)
			}
		})
	}
}

func TestRelativePath(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	t.Chdir(dir)
	s, err := dump.ToFile(t.Context(), job, "a vmcore", dump.FileOptions{}, nil)
	if err != nil || s.Path != filepath.Join(dir, "a vmcore") {
		t.Errorf("%q, %v", s.Path, err)
	}
}

func TestRefusedDestinations(t *testing.T) {
	m := machine(t, small...)
	job := plan(t, m)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	os.Symlink("loop", loop)
	core := filepath.Join(dir, "core")
	os.Symlink(m.Image.Files[0].Name(), core)
	gone, err := os.Create(filepath.Join(dir, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	os.Remove(gone.Name())
	before := names(t, dir)
	coreBefore := read(t, core)
	for _, tt := range []struct{ name, path, want string }{
		{"empty", "", "no file named"},
		{"directory", dir, "is a directory: add a file name"},
		{"new name with a slash", dir + "/new/", "is no file name"},
		{"no directory", dir + "/no/such/vmcore", "there is no directory " + dir + "/no/such/"},
		{"below a file", file + "/vmcore", "is a file, not a directory"},
		{"loop of links", loop, "cannot be written to"},
		{"no folder for new files", "/proc/vmcore-of-a-test", "/proc"},
		{"the core itself", core, "holds the memory to be dumped"},
		{"no name any more", fmt.Sprintf("/proc/self/fd/%d", gone.Fd()), "no name any more"},
		{"name too long", dir + "/" + strings.Repeat("x", 300), "name too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := dump.ToFile(t.Context(), job, tt.path, dump.FileOptions{}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want … %s …", err, tt.want)
			}
		})
	}
	if after := names(t, dir); after != before {
		t.Errorf("the folder held %s, now %s", before, after)
	}
	if !bytes.Equal(read(t, core), coreBefore) {
		t.Error("the core changed")
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	path := filepath.Join(dir, "vmcore")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &watcher{first: func() { cancel(stopped) }}
	if _, err := dump.ToFile(ctx, job, path, dump.FileOptions{}, w); !errors.Is(err, stopped) {
		t.Errorf("%v, want the cause of the cancel", err)
	}
	if got := names(t, dir); got != "vmcore" || string(read(t, path)) != "old" {
		t.Errorf("left are %s, vmcore %q", got, read(t, path))
	}
}

// TestNameTakenMeanwhile has somebody put a directory where the file is to go.
func TestNameTakenMeanwhile(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	path := filepath.Join(dir, "vmcore")
	w := &watcher{first: func() { os.Mkdir(path, 0o755) }}
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, w); err == nil || !strings.Contains(err.Error(), "give another file name") {
		t.Errorf("%v", err)
	}
	if got := names(t, dir); got != "vmcore" {
		t.Errorf("left are %s", got)
	}
}

func TestPanicLeavesNothing(t *testing.T) {
	job := plan(t, machine(t, small...))
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, &watcher{first: func() { panic("test") }})
	}()
	if got := names(t, dir); got != "" {
		t.Errorf("left are %s", got)
	}
}

func TestTruncatedSource(t *testing.T) {
	for _, tt := range []struct {
		name   string
		parts  []dumptest.Part
		size   int64 // of the first file, cut after the plan
		stream bool
		addr   string
	}{
		{"in data", []dumptest.Part{{Addr: 0x5000, Size: 0x8000}}, 0x3200, false, "guest memory at 0x8200:"},
		{"in a hole", []dumptest.Part{{Addr: 0x5000, Size: 0x8000, Kind: dumptest.Hole}}, 0x2000, false, "guest memory at 0x7000:"},
		{"before a hole", []dumptest.Part{{Addr: 0x5000, Size: 0x8000, Kind: dumptest.Hole}}, 0, false, "guest memory at 0x5000:"},
		{"to a pipe", []dumptest.Part{{Addr: 0x5000, Size: 0x8000}}, 0x3200, true, "guest memory at 0x8200:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, tt.parts...)
			job := plan(t, m)
			if err := m.Image.Files[0].(*os.File).Truncate(tt.size); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "vmcore")
			if tt.stream {
				path = "/dev/null"
			}
			_, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), tt.addr) {
				t.Errorf("%v, want unexpected EOF … %s", err, tt.addr)
			}
			if got := names(t, dir); got != "" {
				t.Errorf("left are %s", got)
			}
		})
	}
}

// TestUnreadableSource has a source that fails with EIO: this process's memory
// at an address where it has none.
func TestUnreadableSource(t *testing.T) {
	m := machine(t, dumptest.Part{Addr: 0, Size: 0x8000})
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	m.Image.Files[0] = mem
	job := plan(t, m)
	dir := t.TempDir()
	_, err = dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil)
	if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "guest memory at 0x0: reading /proc/self/mem") {
		t.Errorf("%v, want EIO", err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("left are %s", got)
	}
}

func TestPipe(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	go func() {
		time.Sleep(50 * time.Millisecond) // the writer is first and waits
		b, _ := os.ReadFile(path)
		got <- b
	}()
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, content) {
		t.Errorf("the reader got %d bytes, not the %d of the file", len(b), len(content))
	}
	if s.Path != path || s.Zeros == 0 || s.Copied+s.Zeros != s.Size {
		t.Errorf("summary %+v", s)
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the FIFO is %v now (%v)", fi, err)
	}
}

func TestPipeTrouble(t *testing.T) {
	job := plan(t, machine(t, dumptest.Part{Addr: 0, Size: 1 << 20}))
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("nobody reads", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := dump.ToFile(ctx, job, path, dump.FileOptions{}, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no reader") {
			t.Errorf("%v", err)
		}
	})
	t.Run("the reader stops reading", func(t *testing.T) {
		r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := dump.ToFile(ctx, job, path, dump.FileOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("the reader goes away", func(t *testing.T) {
		r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(50 * time.Millisecond)
			r.Close()
		}()
		_, err = dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
		if !errors.Is(err, unix.EPIPE) || !strings.Contains(err.Error(), "reader went away") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a full device", func(t *testing.T) {
		_, err := dump.ToFile(t.Context(), job, "/dev/full", dump.FileOptions{}, nil)
		if !errors.Is(err, dump.ErrNoSpace) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
}

// TestStdout runs itself with a pipe and a file as its standard output.
func TestStdout(t *testing.T) {
	const asked = "GUESTCORE_TEST_STDOUT"
	job := plan(t, machine(t, small...))
	if os.Getenv(asked) != "" {
		if _, err := dump.ToFile(t.Context(), job, "/dev/stdout", dump.FileOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		os.Exit(0) // before the test framework writes there too
	}
	content := want(t, job)
	run := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStdout$")
		cmd.Env = append(os.Environ(), asked+"=1", "TMPDIR="+t.TempDir()) // what it leaves, as it exits early, is ours to remove
		return cmd
	}
	if got, err := run().Output(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("a pipe got %d bytes, want %d (%v)", len(got), len(content), err)
	}
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := run()
	cmd.Stdout = f
	if err := cmd.Run(); err != nil || !bytes.Equal(read(t, path), content) {
		t.Errorf("a file got something else (%v)", err)
	}
}
