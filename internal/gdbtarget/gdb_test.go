package gdbtarget_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestcore/internal/gdbtarget"
	"guestcore/internal/rsp"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/session"
	"guestcore/test/crashed"
	"guestcore/test/testkit"
)

// quiet is said to every gdb: no network, and no scripts of libraries, which
// are found by the paths of local files and change the backtrace.
// The gdbs of newer releases bring a libthread_db that is not for this machine's C library.
var quiet = []string{"-iex", "set debuginfod enabled off", "-iex", "set auto-load off", "-iex", "set width 0",
	"-iex", "set auto-load libthread-db on", "-iex", "add-auto-load-safe-path /lib/x86_64-linux-gnu",
	"-iex", "set libthread-db-search-path /lib/x86_64-linux-gnu:$sdir"}

// mark separates what gdb says when it opens something from what it answers.
const mark = "=== here the commands begin ==="

// ask runs the commands in gdb after it has opened something, and returns
// what it says to that and to the commands.
func ask(t *testing.T, gdb string, open, commands []string) (opening, answers string) {
	t.Helper()
	args := append([]string{}, quiet...)
	for _, c := range append(append(open[:len(open):len(open)], "echo "+mark+`\n`), commands...) {
		args = append(args, "-ex", c)
	}
	opening, answers, ok := strings.Cut(testkit.GDB(t, gdb, args...).Output, mark+"\n")
	if !ok {
		t.Fatalf("gdb did not come to the commands; it said:\n%s", opening)
	}
	return opening, answers
}

// serve serves a core and returns what to give to "target remote".
func serve(t *testing.T, core string) string {
	t.Helper()
	return serveWith(t, core, rsp.Options{})
}

func serveWith(t *testing.T, core string, options rsp.Options) string {
	t.Helper()
	s, err := session.Open(t.Context(), session.Options{Core: core})
	if err != nil {
		t.Fatal(err)
	}
	target, err := gdbtarget.New(s.Process, gdbtarget.Options{
		ExePath: s.ExePath,
		Monitor: func(_ context.Context, command string, out io.Writer) error {
			_, err := fmt.Fprintf(out, "you said %s\n", command)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- rsp.ServeAll(ctx, ln, target, options) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return ln.Target()
}

var (
	// Native gdb says in the middle of a line that it does not know a
	// component of the core's XSAVE area.
	unexpected = regexp.MustCompile(`(?m)^?warning: Unexpected size of section .*\n`)
	// Names of threads: gdb takes id_str from version 17 on.
	nativeThread = regexp.MustCompile(`Thread 0x[0-9a-f]+ \(LWP (\d+)\)|LWP (\d+)`)
	remoteThread = regexp.MustCompile(`Thread \d+\.(\d+)`)
	blanks       = regexp.MustCompile(`[ \t]+`)
	// Why a thread has no block of a library yet, each says in its own words.
	noTLS = regexp.MustCompile(`(?:The inferior has not yet allocated storage .*\nthe shared library .*\nfor|Cannot find thread-local storage for) (Thread \d+).*(?:\nRemote target failed .*)?`)
	// What only a remote target says.
	remoteOnly = regexp.MustCompile(`(?m)^(Reading .* from remote target\.\.\.|\[Inferior 1 \(process \d+\) detached\])\n`)
)

// normal is an answer without what is known to differ.
func normal(s string) string {
	s = unexpected.ReplaceAllString(s, "")
	s = nativeThread.ReplaceAllString(s, "Thread ${1}${2}")
	s = remoteThread.ReplaceAllString(s, "Thread ${1}")
	s = remoteOnly.ReplaceAllString(s, "")
	s = strings.ReplaceAll(s, "target:/", "/")
	s = noTLS.ReplaceAllString(s, "not allocated for $1")
	return blanks.ReplaceAllString(s, " ")
}

// same compares the answers to the same commands.
func same(t *testing.T, native, remote string) {
	t.Helper()
	n, r := strings.Split(normal(native), "\n"), strings.Split(normal(remote), "\n")
	bad := 0
	for i := range max(len(n), len(r)) {
		var a, b string
		if i < len(n) {
			a = n[i]
		}
		if i < len(r) {
			b = r[i]
		}
		if a != b {
			t.Errorf("line %d\nnative: %s\nremote: %s", i+1, a, b)
			if bad++; bad == 20 {
				t.Fatal("and more")
			}
		}
	}
	if len(n) < 50 {
		t.Errorf("gdb said only:\n%s", native)
	}
}

// everywhere are commands for any core, all with answers that do not depend
// on how gdb got to it.
var everywhere = []string{
	"info threads", "bt", "thread apply all bt", "info registers", "info all-registers", "info vector", "p $xmm0", "p $ymm0",
	"x/16i $pc", "x/8gx $sp", "info sharedlibrary", "info auxv", "p $_siginfo", "p $_siginfo._sifields._sigfault",
	"thread 2", "info registers rip", "p $_siginfo", "thread 1", "p $_exitcode", "x/2i 0", "x/s 1",
	"maint print xml-tdesc",
}

// opened are the ways to come to a core through us; all of them must show
// what gdb shows that has the executable and the core.
func opened(exe, target string) map[string][]string {
	return map[string][]string{
		"with the executable":    {"set sysroot /", "file " + exe, "target remote " + target},
		"without the executable": {"set sysroot /", "target remote " + target},
		"nothing set":            {"target remote " + target},
	}
}

// compare compares all ways to a core with the native one, whose answers must
// contain what is known of the program.
func compare(t *testing.T, exe, core string, commands, known []string) {
	core, _ = crashed.PlainXSave(t, core)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			gdb := g.Path
			open := []string{"file " + exe, "core-file " + core}
			if g.OwnTLS { // then natively too: it finds less than libthread_db does
				open = slices.Insert(open, 0, "set auto-load libthread-db off")
			}
			_, native := ask(t, gdb, open, commands)
			for _, k := range known {
				if !strings.Contains(native, k) {
					t.Errorf("gdb itself does not say %q", k)
				}
			}
			target := serve(t, core)
			for way, open := range opened(exe, target) {
				t.Run(way, func(t *testing.T) {
					_, remote := ask(t, gdb, open, commands)
					same(t, native, remote)
				})
			}
		})
	}
}

func TestCrashedProgram(t *testing.T) {
	commands := append(everywhere[:len(everywhere):len(everywhere)],
		"p global", "p &global", "p *p", "p my_tls", "p lib_tls", "p errno", "thread apply all p my_tls",
		"thread apply all p lib_tls", "thread apply all -c p near_tls", "thread apply all -c p far_tls", "thread apply all p errno", "p &my_tls", "up", "info locals", "info symbol $pc",
		"find &haystack, +sizeof haystack, 'f', 'r', 'o', 'n', 't'", "p haystack", "info line die", "p $_siginfo.si_signo")
	for name, flags := range map[string][]string{"PIE": {"-pie", "-fPIE"}, "no PIE": {"-no-pie"}} {
		t.Run(name, func(t *testing.T) {
			program := crashed.Run(t, flags...)
			compare(t, program.Exe, program.Core, commands, []string{
				"(a=a@entry=2.5, p=p@entry=", "{x = 3, y = -4, name =", " = 102\n", " = 1002\n", " = 42\n", " = 41\n", " = 11\n", " = 14\n",
				"v2_double = {2.5, 0}", "si_signo = 11", "1 pattern found.", "/libc.so.6\n", filepath.Base(program.Lib), "AT_ENTRY",
			})
		})
	}
}

func sortedLines(s string) string { return strings.Join(slices.Sorted(strings.Lines(s)), "") }

// TestWideRegisters compares the registers of the core as the processor left
// it. Only gdb 13 reads them itself where it does not know the size of the
// XSAVE area, so it is the one to ask for all.
func TestWideRegisters(t *testing.T) {
	program := crashed.Run(t)
	if _, ok := crashed.PlainXSave(t, program.Core); !ok {
		t.Log("this processor has no AVX-512: the comparison is of AVX at most")
	}
	commands := []string{"info all-registers", "p $xmm0", "p $ymm0", "p $ymm1", "p $k1"}
	// Each version lists them in an order of its own, and 13 leaves out two.
	segmentBase := regexp.MustCompile(`(?m)^[fg]s_base .*\n`)
	sorted := func(answers string) string { return sortedLines(segmentBase.ReplaceAllString(answers, "")) }
	_, native := ask(t, testkit.PythonGDB(t), []string{"file " + program.Exe, "core-file " + program.Core}, commands)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			_, remote := ask(t, g.Path, []string{"set sysroot /", "file " + program.Exe, "target remote " + serve(t, program.Core)}, commands)
			same(t, sorted(native), sorted(remote))
		})
	}
}

// TestDumpMemory has gdb write what it reads natively and through us.
func TestDumpMemory(t *testing.T) {
	program := crashed.Run(t)
	target := serve(t, program.Core)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			dir := t.TempDir()
			for where, open := range map[string][]string{
				"native": {"file " + program.Exe, "core-file " + program.Core},
				"remote": {"set sysroot /", "file " + program.Exe, "target remote " + target},
			} {
				file := filepath.Join(dir, where)
				_, said := ask(t, g.Path, open, []string{
					"dump binary memory " + file + ".data &haystack[0] &haystack[1024]", "dump binary memory " + file + ".stack $sp $sp+0x1000",
					"dump binary value " + file + ".value haystack", "dump binary memory " + file + ".text $pc $pc+256",
					"append binary memory " + file + ".data &global &global+1",
				})
				if strings.TrimSpace(normal(said)) != "" {
					t.Errorf("gdb says\n%s", said)
				}
			}
			for _, suffix := range []string{".data", ".stack", ".value", ".text"} {
				native, err := os.ReadFile(filepath.Join(dir, "native"+suffix))
				if err != nil {
					t.Fatal(err)
				}
				remote, err := os.ReadFile(filepath.Join(dir, "remote"+suffix))
				if err != nil || len(native) < 128 || !bytes.Equal(native, remote) {
					t.Errorf("%s: %d bytes natively, %d remote, and not the same: %v", suffix, len(native), len(remote), err)
				}
			}
		})
	}
}

// stockCore is a core of Debian's QEMU with a small guest that was not
// started.
func stockCore(t *testing.T) (exe, core string) {
	t.Helper()
	qemu := testkit.StockQEMU(t)
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", `ulimit -c unlimited; exec "$0" "$@"`,
		qemu.Exe, "-display", "none", "-m", "64", "-S", "-qmp", "unix:"+filepath.Join(dir, "qmp")+",server=on,wait=off")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "qmp")); err == nil {
			break
		}
	}
	time.Sleep(time.Second) // the last threads start after the socket is there
	cmd.Process.Signal(syscall.SIGABRT)
	cmd.Wait()
	cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
	if !cmd.ProcessState.Sys().(syscall.WaitStatus).CoreDump() || len(cores) != 1 {
		t.Fatalf("%s dumped no core: %v, %v", qemu.Exe, cmd.ProcessState, cores)
	}
	return qemu.Exe, cores[0]
}

func TestStockQEMU(t *testing.T) {
	exe, core := stockCore(t)
	compare(t, exe, core, append(everywhere[:len(everywhere):len(everywhere)],
		"p &address_space_memory", "x/4gx &address_space_memory", "p (int)current_cpu", "info symbol &address_space_memory"), []string{"address_space_memory in section", "qemu_main_loop ()", "si_signo = 6", "libglib-2.0.so.0"})
}

// A plain gdb 13 finds all it needs, and shows at least the mappings that it
// shows natively.
func TestProc(t *testing.T) {
	program := crashed.Run(t)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			gdb := g.Path
			commands := []string{"info proc mappings", "info proc cmdline", "info proc exe", "info proc status"}
			_, native := ask(t, gdb, []string{"file " + program.Exe, "core-file " + program.Core}, commands[:1])
			_, remote := ask(t, gdb, []string{"file " + program.Exe, "target remote " + serve(t, program.Core)}, commands)
			mappings := 0
			for line := range strings.Lines(native) {
				f := strings.Fields(line)
				if len(f) != 5 || !strings.HasPrefix(f[0], "0x") {
					continue
				}
				mappings++
				ours := regexp.MustCompile(fmt.Sprintf(`(?m)^\s*%s\s+%s\s+%s\s+%s\s+\S+\s+%s *$`,
					f[0], f[1], f[2], f[3], regexp.QuoteMeta(f[4])))
				if !ours.MatchString(remote) {
					t.Errorf("missing: %s", line)
				}
			}
			if mappings < 10 {
				t.Errorf("native gdb shows only:\n%s", native)
			}
			for _, want := range []string{
				`rw-p\s+\[stack\]`, `r-xp\s+\[vdso\]`, `r-xp\s+0x0\s+` + regexp.QuoteMeta(program.Exe) + `|r-xp\s+` + regexp.QuoteMeta(program.Exe),
				`cmdline = '` + regexp.QuoteMeta(strings.Join(program.Args[:3], " ")),
				`exe = '` + regexp.QuoteMeta(program.Exe) + `'`,
				`Name:\s+crash`, fmt.Sprintf(`Pid:\s+%d`, program.PID),
			} {
				if !regexp.MustCompile(want).MatchString(remote) {
					t.Errorf("no %s in:\n%s", want, remote)
				}
			}
			if strings.Contains(remote, "unable") {
				t.Errorf("gdb is unable:\n%s", remote)
			}
		})
	}
}

// What a dead process cannot do is refused, and the session lives on.
func TestRefusals(t *testing.T) {
	program := crashed.Run(t)
	target := serve(t, program.Core)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			gdb := g.Path
			script := filepath.Join(t.TempDir(), "script")
			// Each in a -ex of its own: an error ends a sourced script.
			_, got := ask(t, gdb, []string{"set sysroot /", "set confirm off", "file " + program.Exe, "target remote " + target}, []string{
				"continue", "stepi", "finish", "set var global.x = 9", "set $rax = 1", "call lib_touch(1)", "monitor hello 'you'",
				"p global", "thread 2", "p $_siginfo", "disconnect", "target remote " + target, "info threads", "p global",
				"detach", "target remote " + target, "p global", "x/1i $pc", "gcore " + script,
			})
			for want, count := range map[string]int{
				"the process is dead, its core file can be read but not resumed": 3,
				"Cannot access memory at address":                                1,
				"Could not write register":                                       1,
				"you said hello 'you'":                                           1,
				`= {x = 3, y = -4, name = `:                                      3,
				"Unable to read":                                                 1,
			} {
				if strings.Count(got, want) < count {
					t.Errorf("fewer than %d of %q in:\n%s", count, want, got)
				}
			}
		})
	}
}
