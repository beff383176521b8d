package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// serve starts `guestcore serve` on a free port, or on a unix socket if socket is not "", until the test ends.
func serve(t *testing.T, socket string, args ...string) *rig.Server {
	t.Helper()
	server, err := rig.Serve(t.Context(), testkit.Program(t), socket, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if output := server.Stop(); t.Failed() {
			t.Logf("guestcore serve printed:\n%s", output)
		}
	})
	return server
}

// commands makes gdb's arguments from its commands.
func commands(lines ...string) []string {
	args := []string{"-ex", "set pagination off", "-ex", "set sysroot /"}
	for _, line := range lines {
		args = append(args, "-ex", line)
	}
	return args
}

// TestGDBDumps has a gdb without Python write the dump, over each of the ways to a stub, with a blank in the file's name.
func TestGDBDumps(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	gdb := testkit.MinimalGDB(t)
	for _, test := range []struct {
		name   string
		target func(t *testing.T) string
	}{
		{"tcp", func(t *testing.T) string { return serve(t, "", fixture.Core).Address }},
		{"unix", func(t *testing.T) string { return serve(t, filepath.Join(t.TempDir(), "s"), fixture.Core).Address }},
		{"stdio", func(t *testing.T) string { return "| " + testkit.Program(t) + " serve --stdio " + fixture.Core }},
		{"pty", func(t *testing.T) string { return servePTY(t, fixture.Core) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "guest memory")
			result := testkit.GDB(t, gdb, commands("target remote "+test.target(t),
				`monitor dump-guest-memory "`+out+`" X86_64`)...)
			if result.Status != 0 {
				t.Fatalf("gdb ended with status %d:\n%s", result.Status, result.Output)
			}
			for _, want := range []string{"target_start", "target_end", "host_addr", "message", "count", "added", out} {
				if !strings.Contains(result.Output, want) {
					t.Errorf("gdb does not show %q:\n%s", want, result.Output)
				}
			}
			testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, fixture.QMPDump))
		})
	}
}

// servePTY starts a server on a pseudo-terminal and returns the terminal's name, which the server prints.
func servePTY(t *testing.T, core string) string {
	t.Helper()
	server, err := rig.ServePTY(t.Context(), testkit.Program(t), core)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	return server.Address
}

// TestGDBFails holds a failed monitor command to be an error of gdb, so that a batch session ends there with a bad status.
func TestGDBFails(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	server := serve(t, "", fixture.Core)
	script := filepath.Join(t.TempDir(), "script")
	lines := "set sysroot /\ntarget remote " + server.Address + "\nmonitor dump-guest-memory vmcore aarch64-le\necho not reached\n"
	if err := os.WriteFile(script, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	result := testkit.GDB(t, testkit.MinimalGDB(t), "-x", script)
	if result.Status == 0 || !strings.Contains(result.Output, "aarch64-le") || !strings.Contains(result.Output, "x86_64") ||
		strings.Contains(result.Output, "not reached") {
		t.Errorf("status %d:\n%s", result.Status, result.Output)
	}
}

// TestGDBToldWhy has a server that gdb starts fail before it serves: the user must see why, in every gdb.
func TestGDBToldWhy(t *testing.T) {
	for _, gdb := range testkit.GDBs(t) {
		for args, want := range map[string]string{
			"/nonexistent":                      "no such file",
			"--exee x /nonexistent":             "did you mean --exe?",
			"/proc/self/exe":                    "is an executable, not a core",
			"--listen :1 /nonexistent":          "exclude each other",
			"--upstream nonsense":               "is no server",
			"--pid 2147483647":                  "no process 2147483647",
			"--layout /nonexistent /etc/passwd": "--layout: ",
		} {
			r := testkit.GDB(t, gdb.Path, "-ex", "target remote | "+testkit.Program(t)+" serve --stdio "+args)
			if r.Status == 0 || !strings.Contains(r.Output, want) {
				t.Errorf("%s: %s: status %d, want %q:\n%s", gdb.Name, args, r.Status, want, r.Output)
			}
		}
	}
}

// TestGDBSeesTheProcess gives gdb the same commands on the core itself and on the served core. The answers must be the same.
func TestGDBSeesTheProcess(t *testing.T) {
	ask := []string{"info threads", "bt", "thread apply all bt", "info registers", "x/4xg $sp", "x/6i $pc", "info sharedlibrary",
		"info auxv", "print $_siginfo.si_signo", "info signals SIGABRT"}
	for _, test := range []struct {
		name string
		qemu rig.QEMU
		ask  []string
	}{
		{"stock", testkit.StockQEMU(t), ask},
		{"dwarf", testkit.DebugQEMU(t), append(ask, "print address_space_memory", "print *current_machine", "ptype struct FlatView")},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixture := testkit.Boot(t, test.qemu, rig.Bare)
			gdb := testkit.MinimalGDB(t)
			var marked []string // each command behind a line that names it
			for _, line := range test.ask {
				marked = append(marked, "echo == "+line+`\n`, line)
			}
			marked = append(marked, `echo == end\n`)
			args := commands("file " + test.qemu.Exe)
			native := testkit.GDB(t, gdb, append(append(args, "-ex", "core-file "+fixture.Core), commands(marked...)...)...)
			remote := testkit.GDB(t, gdb, append(append(args, "-ex", "target remote "+serve(t, "", fixture.Core).Address),
				commands(marked...)...)...)
			for _, line := range test.ask {
				want, got := answer(t, native.Output, line), answer(t, remote.Output, line)
				if want != got {
					t.Errorf("%s: on the core\n%s\nserved\n%s", line, want, got)
				}
			}
		})
	}
}

var (
	nativeThread = regexp.MustCompile(`(?:Thread 0x[0-9a-f]+ \(LWP (\d+)\)|LWP (\d+))(?: "[^"]*")?`)
	remoteThread = regexp.MustCompile(`Thread \d+\.(\d+)(?: "[^"]*")?`)
	// gdb 13 does not know the size of the processor's extended state in the cores of newer kernels.
	nativeWarning = regexp.MustCompile("warning: Unexpected size of section `.reg-xstate/\\d+' in core file.\n")
	blanks        = regexp.MustCompile(` +`)
)

// answer cuts the answer to one command out of gdb's output. gdb before 17 names a thread otherwise on a remote target,
// and lines up columns behind the name.
func answer(t *testing.T, output, command string) string {
	t.Helper()
	_, rest, ok := strings.Cut(output, "== "+command+"\n")
	if !ok {
		t.Fatalf("gdb did not come to %q:\n%s", command, output)
	}
	rest, _, _ = strings.Cut(rest, "\n== ")
	rest = nativeWarning.ReplaceAllString(rest, "")
	rest = nativeThread.ReplaceAllString(rest, "LWP $1$2")
	rest = remoteThread.ReplaceAllString(rest, "LWP $1")
	return blanks.ReplaceAllString(strings.TrimSpace(rest), " ")
}

// TestGDBReconnects has a second gdb come after the first one left, and what a dead process cannot do refused.
func TestGDBReconnects(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	server := serve(t, "", fixture.Core)
	gdb := testkit.MinimalGDB(t)
	connect := "target remote " + server.Address
	for i, leave := range []string{"detach", "disconnect", "kill"} {
		result := testkit.GDB(t, gdb, commands(connect, "continue", "stepi", "p $pc", "echo alive\\n", leave, connect, "p $pc",
			fmt.Sprintf("echo again %d\\n", i))...)
		if result.Status != 0 || !strings.Contains(result.Output, "alive") || !strings.Contains(result.Output, fmt.Sprintf("again %d", i)) {
			t.Errorf("%s: status %d:\n%s", leave, result.Status, result.Output)
		}
	}
}

// TestServeRefuses has the second server on a port and the second client of a server told so.
func TestServeRefuses(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	server := serve(t, "", fixture.Core)
	t.Run("port in use", func(t *testing.T) {
		_, port, _ := strings.Cut(server.Address, ":")
		refused(t, testkit.Guestcore(t, "serve", "--listen", server.Address, fixture.Core), port, "in use", "--listen")
	})
	t.Run("not loopback", func(t *testing.T) {
		refused(t, testkit.Guestcore(t, "serve", "--listen", "0.0.0.0:0", fixture.Core), "--allow-remote")
	})
	t.Run("second client", func(t *testing.T) {
		first, err := server.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		supported, err := first.Ask("qSupported")
		if err != nil {
			t.Fatal(err)
		}
		result := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+server.Address)...)
		if !strings.Contains(result.Output, "another gdb is connected") {
			t.Errorf("a second gdb is not told so:\n%s", result.Output)
		}
		if again, err := first.Ask("qSupported"); err != nil || again != supported {
			t.Errorf("the first client is disturbed: %q, %v", again, err)
		}
	})
}

// TestServeStarts holds the start to what is promised: the first answer within 0.3 s with 58 MB of debug information, in
// little memory however large the core. A busy machine gets more tries.
func TestServeStarts(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.Q35)
	const most, memory, tries = 300 * time.Millisecond, 200 << 20, 5
	var took time.Duration
	for range tries {
		start := time.Now()
		server := serve(t, "", fixture.Core)
		client, err := server.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Ask("qSupported"); err != nil {
			t.Fatal(err)
		}
		took = time.Since(start)
		client.Close()
		if peak, err := server.PeakMemory(); err != nil || peak > memory {
			t.Errorf("%d bytes of memory at the peak, at most %d are promised: %v", peak, memory, err)
		}
		if took <= most {
			return
		}
	}
	t.Errorf("the first answer came after %v, promised are %v", took, most)
}
