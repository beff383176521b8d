package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// streaming is `guestcore dump CORE -` with its standard output in the hands of the test.
type streaming struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	stderr *os.File // a file: it can be read while the program writes
}

func stream(t *testing.T, core string, flags ...string) *streaming {
	t.Helper()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stderr.Close() })
	args := append([]string{"dump"}, flags...)
	s := &streaming{cmd: exec.CommandContext(t.Context(), testkit.Program(t), append(args, core, "-")...), stderr: stderr}
	s.cmd.Stderr = stderr
	if s.stdout, err = s.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	if _, err := io.ReadFull(s.stdout, make([]byte, 4)); err != nil { // it writes, and waits for us once the pipe is full
		t.Fatalf("nothing comes out: %v\n%s", err, s.said(t))
	}
	return s
}

func (s *streaming) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ends waits for the program and returns its exit status.
func (s *streaming) ends(t *testing.T) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		t.Fatalf("it does not end:\n%s", s.said(t))
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestStandardOutput has the dump come out of a pipe: the same bytes as in a file, everything else on stderr.
func TestStandardOutput(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	file, err := os.Open(dump(t, guest).Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := stream(t, guest.Core)
	if _, err := file.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(4); ; at += int64(len(a)) {
		n, aerr := io.ReadFull(s.stdout, a)
		m, _ := io.ReadFull(file, b)
		if !bytes.Equal(a[:n], b[:m]) {
			t.Fatalf("the pipe and the file differ from %#x on", at)
		}
		if aerr != nil {
			break
		}
	}
	if status := s.ends(t); status != 0 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"target_start", "1.0 GiB of guest memory"} {
		if said := s.said(t); !strings.Contains(said, want) {
			t.Errorf("stderr lacks %q:\n%s", want, said)
		}
	}
}

// TestProgressSignal asks for progress by SIGUSR1, in words and in JSON.
func TestProgressSignal(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	for _, test := range []struct {
		name  string
		flags []string
		check func(line string) error
	}{
		{"words", nil, func(line string) error {
			if !strings.Contains(line, " of 1.0 GiB (") {
				return fmt.Errorf("no progress")
			}
			return nil
		}},
		{"json", []string{"--json"}, func(line string) error {
			var state struct{ Progress struct{ Done, Total int64 } }
			if err := json.Unmarshal([]byte(line), &state); err != nil {
				return err
			}
			if p := state.Progress; p.Total < 1<<30 || p.Done < 0 || p.Done > p.Total {
				return fmt.Errorf("done and total are %+v", p)
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := stream(t, guest.Core, test.flags...)
			before := len(s.said(t))
			if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			eventually(t, "progress", func() bool { return strings.HasSuffix(s.said(t)[before:], "\n") })
			line, _, _ := strings.Cut(s.said(t)[before:], "\n")
			if err := test.check(line); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		})
	}
}

// TestStreamEnds has the reader go away and a user lose patience: both end the program at once, and not as if all were well.
func TestStreamEnds(t *testing.T) {
	guest := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	t.Run("the reader goes away", func(t *testing.T) {
		s := stream(t, guest.Core)
		s.stdout.Close()
		if status := s.ends(t); status != 1 || !strings.Contains(s.said(t), "reader went away") {
			t.Errorf("status %d:\n%s", status, s.said(t))
		}
	})
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			s := stream(t, guest.Core)
			if err := s.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if status := s.ends(t); status != 128+int(signal) || !strings.Contains(s.said(t), "interrupted") {
				t.Errorf("status %d:\n%s", status, s.said(t))
			}
		})
	}
}
