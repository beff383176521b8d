package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/endpoint"
)

// stdioEnv has this test program serve a target on its standard input and
// output, for gdb to start it.
const stdioEnv = "RSP_TEST_SERVE_STDIO"

func TestMain(m *testing.M) {
	if os.Getenv(stdioEnv) != "" {
		ln, err := endpoint.NewStdio(os.Stdin, os.Stdout)
		if err == nil {
			err = rsp.ServeAll(context.Background(), ln, newRich(), rsp.Options{})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// needGDB asks for the real gdb.
func needGDB(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("gdb"); err != nil {
		const hint = "no gdb: apt-get install gdb-minimal"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
}

// serveAll serves target on ln until the test ends.
func serveAll(t *testing.T, ln rsp.Listener, target rsp.Target, o rsp.Options) (done chan error) {
	t.Helper()
	if o.Log == nil {
		o.Log = testLog(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- rsp.ServeAll(ctx, ln, target, o)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("ServeAll goes on after its context ended")
		}
	})
	return done
}

// serveTCP serves target and returns what "target remote" takes.
func serveTCP(t *testing.T, target rsp.Target) string {
	t.Helper()
	ln, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	serveAll(t, ln, target, rsp.Options{})
	return ln.Target()
}

// ex has gdb run commands one after another, also behind one that failed.
func ex(commands ...string) (args []string) {
	for _, c := range commands {
		args = append(args, "-ex", c)
	}
	return args
}

// gdb runs gdb in batch mode, in a session of its own: gdb stops when it is in
// the background of a terminal.
func gdb(t *testing.T, args ...string) (output string, status int) {
	t.Helper()
	needGDB(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args = append([]string{"-nx", "-q", "-batch", "-ex", "set sysroot /"}, args...)
	cmd := exec.CommandContext(ctx, "gdb", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = append(os.Environ(), stdioEnv+"=yes", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("gdb: %v\n%s", err, out)
	}
	if ctx.Err() != nil {
		t.Fatalf("gdb hangs:\n%s", out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// expect looks for lines in gdb's output, in this order.
func expect(t *testing.T, output string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		at := regexp.MustCompile("(?m)" + p).FindStringIndex(output)
		if at == nil {
			t.Fatalf("%q is not in the rest of gdb's output:\n%s", p, output)
		}
		output = output[at[1]:]
	}
}

func TestGDBOverEveryTransport(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(*testing.T) (target string)
	}{
		{"tcp", func(t *testing.T) string { return serveTCP(t, newRich()) }},
		{"unix", func(t *testing.T) string {
			ln, err := endpoint.Listen("unix:"+filepath.Join(t.TempDir(), "s"), false)
			if err != nil {
				t.Fatal(err)
			}
			serveAll(t, ln, newRich(), rsp.Options{})
			return ln.Target()
		}},
		{"pipe", func(t *testing.T) string { return "| " + os.Args[0] }},
		{"pty", func(t *testing.T) string {
			ln, err := endpoint.OpenPty()
			if err != nil {
				t.Fatal(err)
			}
			serveAll(t, ln, newRich(), rsp.Options{})
			return ln.Target()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connect := "target remote " + tt.serve(t)
			out, status := gdb(t, ex(connect,
				"info threads",
				"x/4gx 0x10000",
				"x/4gx 0x1fff0",
				"info registers rip",
				"thread 1",
				"info registers rax",
				"monitor steps",
				"monitor many 300",
				"info auxv",
				"find 0x10000,+0x8000,(long)0x12340",
				"disconnect", connect, // all is well after each way to leave
				"detach", connect,
				"kill", connect,
				"monitor echo still here")...)
			expect(t, out,
				`1 +Thread 100\.100 "main" \(vCPU\)`,
				`\* 2 +Thread 100\.101 "<worker>" \(vCPU\) +0x0000000000010100 in`,
				`^0x10000:\t0x0000000000010000\t0x0000000000010008$`,
				`^0x10010:\t0x0000000000010010\t0x0000000000010018$`,
				`^0x1fff0:\t0x0{16}\t0x0{16}$`,
				`^0x20000:\tCannot access memory at address 0x20000$`,
				`^rip +0x10100`,
				`Switching to thread 1 `,
				`^rax +0x6400`,
				`^step 0\nstep 1\nstep 2\n`+`line 0 of many\n`,
				`^line 299 of many$`,
				`^6 +AT_PAGESZ .* 4096$`,
				`^0x12340\n1 pattern found`,
				`\(process 100\) detached`,
				`\(process 100\) killed`,
				`^still here$`)
			if status != 0 {
				t.Errorf("gdb's status is %d", status)
			}
		})
	}
}

// What a dead target cannot do is refused in words, and the session goes on.
func TestGDBRefusals(t *testing.T) {
	out, _ := gdb(t, ex("target remote "+serveTCP(t, newRich()),
		"print $rax = 1",
		"set {int}0x10000 = 1",
		"continue",
		"stepi",
		"tbreak *0x10100",
		"continue",
		"watch *(long *)0x10000",
		"continue",
		"delete",
		"print ((int (*)(void))0x10100)()",
		"info threads",
		"monitor echo still here")...)
	const dead = `^this one is dead\n\nThread 2 "<worker>" stopped\.`
	expect(t, out,
		`Could not write register "rax"; .*registers of this target cannot be written`,
		`Cannot access memory at address 0x10000`,
		dead, dead, dead,
		`Could not insert hardware watchpoint 2`,
		`Cannot access memory|Could not write register`,
		`\* 2 +Thread 100\.101`,
		`^still here$`)
}

// A failed monitor command stops a script, and gdb's status says so.
func TestGDBFailedMonitor(t *testing.T) {
	at := serveTCP(t, newRich())
	for _, command := range []string{"fail", "panic"} {
		script := filepath.Join(t.TempDir(), "script.gdb")
		text := fmt.Sprintf("target remote %s\nmonitor %s\necho not reached\\n\n", at, command)
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, status := gdb(t, "-x", script)
		expect(t, out, `^(half a line\nit went wrong: try another one|internal error: a defect)$`, `Protocol error with Rcmd`)
		if strings.Contains(out, "not reached") {
			t.Error("the script went on")
		}
		if status == 0 {
			t.Error("gdb's status is 0")
		}
	}
}

// Without output for longer than gdb waits for a packet, nothing is said of an
// error.
func TestGDBSilentMonitor(t *testing.T) {
	t.Parallel()
	out, _ := gdb(t, ex("target remote "+serveTCP(t, newRich()), "echo before\\n", "monitor sleep", "x/gx 0x10000")...)
	expect(t, out, `^before\nslept\n0x10000:\t0x0000000000010000$`)
}

// A client without XML gets the registers it expects.
func TestGDBWithoutTargetXML(t *testing.T) {
	out, _ := gdb(t, ex("set architecture i386:x86-64", "set osabi none", "set remote target-features-packet off",
		"target remote "+serveTCP(t, newRich()), "info registers rip")...)
	expect(t, out, `^rip +0x10100`)
}

func TestGDBSecondClient(t *testing.T) {
	target := newRich()
	at := serveTCP(t, target)
	first := startGDB(t)
	first.command("target remote "+at, `SIGSEGV|in \?\?`)
	out, _ := gdb(t, ex("target remote "+at)...)
	expect(t, out, `another gdb is connected to this server, disconnect that one first`)
	first.command("monitor echo still here", `still here\r\n`)
	first.command("disconnect", `Ending remote debugging`)
	out, _ = gdb(t, ex("target remote "+at, "monitor echo my turn")...)
	expect(t, out, `^my turn$`)
}

// Ctrl-C ends a monitor command, and nothing of it is taken for an answer to
// what comes next.
func TestGDBInterruptsMonitor(t *testing.T) {
	for _, transport := range []string{"tcp", "pty"} {
		for _, command := range []string{"wait", "flood"} {
			t.Run(transport+" "+command, func(t *testing.T) {
				needGDB(t)
				target := newRich()
				var at string
				if transport == "tcp" {
					at = serveTCP(t, target)
				} else {
					ln, err := endpoint.OpenPty()
					if err != nil {
						t.Fatal(err)
					}
					serveAll(t, ln, target, rsp.Options{})
					at = ln.Target()
				}
				g := startGDB(t)
				g.command("target remote "+at, `in \?\?`)
				for range 2 {
					g.send("monitor " + command + "\n")
					<-target.waiting
					time.Sleep(300 * time.Millisecond)
					pressed := time.Now()
					g.send("\x03")
					// A second by design, one more for a busy machine.
					waitFor(t, 2*time.Second, func() bool {
						return strings.HasPrefix(target.lastEnded(), "interrupted")
					})
					t.Logf("cancelled after %v: %s", time.Since(pressed), target.lastEnded())
					g.expect(`Quit`)
					g.expect(`\(gdb\) `)
					g.command("x/2gx 0x10000", `0x10000:\t0x0000000000010000\t0x0000000000010008\r\n`)
					g.command("info threads", `\* 2 +Thread 100\.101 .*\r\n`)
					g.command("monitor echo still here", `still here\r\n`)
				}
				g.command("detach", `detached`)
			})
		}
	}
}

// interactive is a gdb on a terminal.
type interactive struct {
	t    *testing.T
	tty  *os.File
	text chan []byte
	seen []byte // not yet expected
}

func startGDB(t *testing.T) *interactive {
	t.Helper()
	needGDB(t)
	cmd := exec.Command("gdb", "-nx", "-q", "-ex", "set sysroot /", "-ex", "set confirm off", "-ex", "set width 0", "-ex", "set style enabled off")
	cmd.Env = append(os.Environ(), "TERM=dumb", "LC_ALL=C")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	g := &interactive{t: t, tty: tty, text: make(chan []byte, 1<<16)}
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
		for range g.text {
		}
	})
	g.expect(`\(gdb\) `)
	return g
}

func (g *interactive) send(s string) {
	if _, err := io.WriteString(g.tty, s); err != nil {
		g.t.Fatalf("typing to gdb: %v", err)
	}
}

// expect waits for a text and drops all before it.
func (g *interactive) expect(pattern string) {
	g.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(20 * time.Second)
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

// command types a command and waits for what it says and for the next prompt.
func (g *interactive) command(c, pattern string) {
	g.t.Helper()
	g.send(c + "\n")
	g.expect(pattern)
	g.expect(`\(gdb\) `)
}
