package e2e

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// terminal is a gdb that a user sits at.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	text chan []byte
	seen []byte // not yet expected
}

func sitAt(t *testing.T, dir, gdb string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(gdb, append([]string{"-nx", "-q", "-ex", "set confirm off", "-ex", "set width 0", "-ex", "set style enabled off",
		"-ex", "set pagination off"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TERM=dumb", "LC_ALL=C")
	tty, err := pty.Start(cmd)
	must(t, err)
	g := &terminal{t: t, cmd: cmd, tty: tty, text: make(chan []byte, 1<<16)}
	go func() {
		defer close(g.text)
		for {
			buf := make([]byte, 64<<10)
			n, err := tty.Read(buf)
			if err != nil {
				return
			}
			g.text <- buf[:n]
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		tty.Close()
	})
	g.expect(`\(gdb\) `)
	return g
}

func (g *terminal) send(text string) {
	g.t.Helper()
	_, err := io.WriteString(g.tty, text)
	must(g.t, err)
}

// expect waits for a text and drops all before it.
func (g *terminal) expect(pattern string) {
	g.t.Helper()
	re, timeout := regexp.MustCompile(pattern), time.After(testkit.Limit)
	for {
		if at := re.FindIndex(g.seen); at != nil {
			g.seen = g.seen[at[1]:]
			return
		}
		select {
		case b, ok := <-g.text:
			if !ok {
				g.t.Fatalf("gdb ended before it said %q:\n%s", pattern, g.seen)
			}
			g.seen = append(g.seen, b...)
		case <-timeout:
			g.t.Fatalf("gdb does not say %q, but:\n%s", pattern, g.seen)
		}
	}
}

// quit leaves gdb, which must end well.
func (g *terminal) quit() {
	g.t.Helper()
	g.send("quit\n")
	if err := g.cmd.Wait(); err != nil {
		g.t.Errorf("quit: %v:\n%s", err, g.seen)
	}
}

// blocking is a folder with a FIFO to dump into, whose reader takes nothing: the dump goes on until it is cancelled.
func blocking(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { reader.Close() })
	return dir
}

// TestInGDBInterrupted presses Ctrl-C in the middle of a dump, and Enter, and goes on in the same gdb.
func TestInGDBInterrupted(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	for _, gdb := range testkit.GDBs(t) {
		t.Run(gdb.Name, func(t *testing.T) {
			dir := blocking(t)
			g := sitAt(t, dir, gdb.Path, "-ex", "core-file "+fixture.Core, "-ex", "source "+filepath.Join(testkit.Library(t), "dump-guest-memory.gdb"))
			for range 3 {
				g.send("dump-guest-memory fifo X86_64\n")
				g.expect("fffc0000")
				time.Sleep(100 * time.Millisecond)
				g.send("\x03")
				g.expect(`\(gdb\) `)
				g.send("\n") // is no repetition
				g.expect(`\(gdb\) `)
			}
			g.send("dump-guest-memory vmcore X86_64\n")
			g.expect("vmcore: .* of guest memory")
			g.expect(`\(gdb\) `)
			g.send("print 4711\n")
			g.expect("= 4711")
			g.quit()
			testkit.Equal(t, testkit.Open(t, filepath.Join(dir, "vmcore")), testkit.Open(t, fixture.QMPDump))
			files, err := os.ReadDir(dir)
			must(t, err)
			if len(files) != 2 {
				t.Errorf("more files are left than the FIFO and the dump: %v", files)
			}
		})
	}
}

// TestInGDBHangsUp closes the terminal in the middle of a dump: gdb and what it has started end.
func TestInGDBHangsUp(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	g := sitAt(t, blocking(t), testkit.MinimalGDB(t), "-ex", "core-file "+fixture.Core,
		"-ex", "source "+filepath.Join(testkit.Library(t), "dump-guest-memory.gdb"))
	g.send("dump-guest-memory fifo X86_64\n")
	g.expect("fffc0000")
	must(t, g.tty.Close())
	ended := make(chan error, 1)
	go func() { ended <- g.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(testkit.Limit):
		t.Error("gdb does not end")
	}
}
