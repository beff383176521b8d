package dump_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

func TestToOpenFile(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	for _, tt := range []struct {
		name   string
		flags  int
		before string // in the file
		holes  bool
	}{
		{"empty", 0, "", true},
		{"for appending", os.O_APPEND, "", false},
		{"behind a line", 0, "a line\n", false},
		{"appended to a line", os.O_APPEND, "a line\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out")
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|tt.flags, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString(tt.before); err != nil {
				t.Fatal(err)
			}
			s, err := dump.ToOpen(t.Context(), job, f, dump.FileOptions{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("the end"); err != nil {
				t.Errorf("the file is not open any more: %v", err)
			}
			if got := string(read(t, path)); got != tt.before+string(content)+"the end" {
				t.Errorf("%d bytes, not the dump between what was written before and behind", len(got))
			}
			if (s.Holes > 0) != tt.holes || (s.Zeros > 0) == tt.holes {
				t.Errorf("holes %d, zeros %d", s.Holes, s.Zeros)
			}
		})
	}
}

func TestToOpenPipe(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(r)
		got <- b
	}()
	if _, err := dump.ToOpen(t.Context(), job, w, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if b := <-got; !bytes.Equal(b, content) {
		t.Errorf("the reader got %d bytes, not the %d of the file", len(b), len(content))
	}
}

func TestToOpenTrouble(t *testing.T) {
	t.Run("a terminal", func(t *testing.T) {
		ours, theirs, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		defer theirs.Close()
		_, err = dump.ToOpen(t.Context(), plan(t, machine(t, small...)), theirs, dump.FileOptions{}, nil)
		if err == nil || !strings.Contains(err.Error(), "terminal") {
			t.Errorf("%v", err)
		}
	})
	t.Run("the reader went away", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		r.Close()
		if _, err = dump.ToOpen(t.Context(), plan(t, machine(t, small...)), w, dump.FileOptions{}, nil); !errors.Is(err, unix.EPIPE) {
			t.Errorf("%v", err)
		}
	})
	for _, keep := range []bool{false, true} {
		t.Run("a source that ends early", func(t *testing.T) {
			m := machine(t, dumptest.Part{Addr: 0, Size: 1 << 20})
			job := plan(t, m)
			if err := m.Image.Files[0].(*os.File).Truncate(1 << 19); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := dump.ToOpen(t.Context(), job, f, dump.FileOptions{KeepPartial: keep}, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v", err)
			}
			if b := read(t, f.Name()); (len(b) > 0) != keep {
				t.Errorf("%d bytes are left", len(b))
			}
		})
	}
}
