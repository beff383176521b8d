package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// script writes a script for gdb that sources the library's and then has these lines.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	lines = append([]string{"set pagination off", "set sysroot /",
		"source " + filepath.Join(testkit.Library(t), "dump-guest-memory.gdb")}, lines...)
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// scripted runs a script in a gdb that has the library's command, and wants status 0.
func scripted(t *testing.T, gdb string, lines ...string) (output string) {
	t.Helper()
	r := testkit.GDB(t, gdb, "-x", script(t, lines...))
	if r.Status != 0 {
		t.Fatalf("gdb ended with status %d:\n%s", r.Status, r.Output)
	}
	return r.Output
}

// TestInGDB dumps from inside each gdb with the one command, and then has gdb do what it does beside: the library is loaded
// again, and serves the core, and the children that gdb starts see nothing of it.
func TestInGDB(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	library := filepath.Join(testkit.Library(t), "libguestcore.so")
	for _, gdb := range testkit.GDBs(t) {
		t.Run(gdb.Name, func(t *testing.T) {
			dir := t.TempDir()
			first, second, third := filepath.Join(dir, "first"), filepath.Join(dir, "guest's $HOME # memory"), filepath.Join(dir, "it's")
			output := scripted(t, gdb.Path,
				"core-file "+fixture.Core,
				"dump-guest-memory "+first+" X86_64",
				"shell true", `echo shell $_shell_exitcode\n`, "! exit 3", "print $_shell_exitcode + 100",
				"pipe info threads | wc -l",
				"shell ls /proc/self/fd | grep -c -x -e 90[0-3] || true",
				"guestcore-load", "guestcore-load",
				"jit-reader-unload", "jit-reader-load "+library,
				`dump-guest-memory --format kdump-zlib "`+second+`"`,
				`info registers rip`,
				"target remote /proc/self/fd/900",
				"info registers rip", "bt 1", "dump-guest-memory "+dir+`/it\'s`, "detach",
				"target remote /proc/self/fd/900", "jit-reader-unload", `x/1xb $sp`, "disconnect",
				"core-file "+fixture.Core, "print 4711")
			for _, want := range []string{"$1 = 103", "\n0\n", "asking the server", "$2 = 4711"} {
				if !strings.Contains(output, want) {
					t.Errorf("gdb does not show %q:\n%s", want, output)
				}
			}
			for _, name := range []string{first, third} {
				testkit.Equal(t, testkit.Open(t, name), testkit.Open(t, fixture.QMPDump))
			}
			if r := testkit.Guestcore(t, "verify", "--partial", second, fixture.QMPDump); r.Status != 0 {
				t.Errorf("the compressed dump: %s", r.Output)
			}
		})
	}
}

// TestInGDBLive dumps a process that gdb has attached to, itself or through a gdbserver of this machine, or that guestcore
// serves.
func TestInGDBLive(t *testing.T) {
	l := start(t, polling(t))
	must(t, l.Stop())
	oracle, err := l.Dump(t.Context(), "qmp.elf")
	must(t, err)
	pid, gdbs := strconv.Itoa(l.PID()), testkit.GDBs(t)
	for _, gdb := range []testkit.NamedGDB{gdbs[0], gdbs[len(gdbs)-1]} {
		for _, test := range []struct{ name, target, says string }{
			{"attach", "attach " + pid, ""},
			{"gdbserver", "target remote | " + testkit.GDBServer(t) + " --attach - " + pid, ""},
			{"extended", "target extended-remote | " + testkit.GDBServer(t) + " --attach - " + pid, ""},
			{"guestcore", "target remote | " + testkit.Program(t) + " serve --stdio --pid " + pid, "asking the server"},
		} {
			t.Run(gdb.Name+"/"+test.name, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "vmcore")
				lines := []string{test.target, "dump-guest-memory " + out + " X86_64", "info registers rip", "detach"}
				if test.name == "extended" { // gdbserver 13 does not end by itself
					lines = append(lines, "monitor exit")
				}
				output := scripted(t, gdb.Path, lines...)
				if !strings.Contains(output, "\nrip ") || !strings.Contains(output, test.says) {
					t.Errorf("gdb shows\n%s", output)
				}
				testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, oracle))
				must(t, l.Answers(testkit.Limit))
			})
		}
	}
}

// TestInGDBOtherServer has the command passed on to a server that guestcore does not know, and the user told what to do.
func TestInGDBOtherServer(t *testing.T) {
	l := start(t, rig.Bare)
	other := filepath.Join(t.TempDir(), "otherserver")
	program, err := os.ReadFile(testkit.GDBServer(t))
	must(t, err)
	must(t, os.WriteFile(other, program, 0o700))
	r := testkit.GDB(t, testkit.MinimalGDB(t), "-x", script(t, "target remote | "+other+" --attach - "+strconv.Itoa(l.PID()),
		"dump-guest-memory vmcore X86_64", "echo not reached"))
	if r.Status == 0 || !strings.Contains(r.Output, "guestcore serve --upstream") || strings.Contains(r.Output, "not reached") {
		t.Errorf("status %d:\n%s", r.Status, r.Output)
	}
	must(t, l.Answers(testkit.Limit))
}

// TestInGDBChoosesCore has several cores in one gdb: the command takes that of the current inferior, also when a file of its
// name, or of its process, is another one.
func TestInGDBChoosesCore(t *testing.T) {
	dir := t.TempDir()
	pc, bare := testkit.Boot(t, testkit.StockQEMU(t), rig.PC), testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	core, out := filepath.Join(dir, "core"), func(n string) string { return filepath.Join(dir, n) }
	must(t, os.Symlink(pc.Dir, filepath.Join(dir, "link")))
	must(t, exec.Command("cp", "--sparse=always", bare.Core, core).Run())
	must(t, exec.Command("cp", "--sparse=always", bare.Core, core+".again").Run())
	scripted(t, testkit.MinimalGDB(t),
		"core-file "+filepath.Join(dir, "link", "core"),
		"add-inferior", "inferior 2", "core-file "+bare.Core,
		"dump-guest-memory "+out("two"), "inferior 1", "dump-guest-memory "+out("one"),
		"inferior 2", "core-file "+core, "guestcore-load", "shell rm "+core+"; cp --sparse=always "+pc.Core+" "+core,
		"dump-guest-memory "+out("deleted"),
		"core-file "+core, "dump-guest-memory "+out("new"))
	for name, want := range map[string]string{"two": bare.QMPDump, "one": pc.QMPDump, "deleted": bare.QMPDump, "new": pc.QMPDump} {
		testkit.Equal(t, testkit.Open(t, out(name)), testkit.Open(t, want))
	}
}

// TestInGDBFails holds every error to end a batch session there, with a bad status and the reason.
func TestInGDBFails(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	core := "core-file " + fixture.Core
	gone := script(t, core, "dump-guest-memory vmcore")
	text, err := os.ReadFile(filepath.Join(testkit.Library(t), "dump-guest-memory.gdb"))
	must(t, err)
	unknown := filepath.Join(t.TempDir(), "dump-guest-memory.gdb")
	must(t, os.WriteFile(unknown, []byte(strings.NewReplacer(testkit.Library(t), "/nonexistent", "/usr/", "/nonexistent/").Replace(string(text))), 0o600))
	must(t, os.WriteFile(gone, []byte("source "+unknown+"\n"+core+"\ndump-guest-memory vmcore\necho not reached\n"), 0o600))
	sleep, err := rig.Core(t.Context(), t.TempDir(), "sh", "-c", "echo x; sleep 100")
	must(t, err)
	for _, gdb := range testkit.GDBs(t) {
		for _, test := range []struct {
			name  string
			lines []string
			want  string
		}{
			{"no library", nil, "not installed"},
			{"no core", []string{"dump-guest-memory vmcore"}, "core-file"},
			{"no such core", []string{"core-file /nonexistent", "dump-guest-memory vmcore"}, "No such file"},
			{"no QEMU", []string{"core-file " + sleep, "dump-guest-memory vmcore"}, "QEMU"},
			{"architecture", []string{core, "dump-guest-memory vmcore s390"}, "s390 was asked for"},
			{"no architecture", []string{core, "dump-guest-memory vmcore vax"}, "vax"},
			{"folder", []string{core, "dump-guest-memory /nonexistent/vmcore X86_64"}, "there is no directory"},
			{"detached", []string{core, "dump-guest-memory -d /nonexistent/vmcore"}, "there is no directory"},
			{"flag", []string{core, "dump-guest-memory --fromat elf vmcore"}, "did you mean --format?"},
			{"arguments", []string{core, "dump-guest-memory a X86_64 1 2 3"}, "too many arguments"},
			{"unknown command", []string{core, "dump-guest-memories vmcore"}, "Undefined command"},
			{"at the socket", []string{core, "guestcore-load", "target remote /proc/self/fd/900", "dump-guest-memory vmcore s390"}, "s390 was asked for"},
			{"no server", []string{core, "target remote /proc/self/fd/800"}, "No such file"},
		} {
			t.Run(gdb.Name+"/"+test.name, func(t *testing.T) {
				path := gone
				if test.lines != nil {
					path = script(t, append(test.lines, "echo not reached")...)
				}
				r := testkit.GDB(t, gdb.Path, "-x", path)
				if r.Status == 0 || !strings.Contains(r.Output, test.want) || strings.Contains(r.Output, "not reached") {
					t.Errorf("status %d, want %q:\n%s", r.Status, test.want, r.Output)
				}
			})
		}
	}
}

// TestInGDBRounds loads, dumps and quits time and again: nothing hangs, and nothing is left.
func TestInGDBRounds(t *testing.T) {
	const rounds = 200
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	gdb, dir := testkit.MinimalGDB(t), t.TempDir()
	t.Setenv("TMPDIR", dir)
	path := script(t, "core-file "+fixture.Core, "dump-guest-memory vmcore X86_64", "jit-reader-unload")
	var g errgroup.Group
	g.SetLimit(2)
	for range rounds {
		g.Go(func() error {
			work, err := os.MkdirTemp(dir, "")
			if err != nil {
				return err
			}
			r, err := rig.Run(t.Context(), testkit.Limit, work, gdb, "-nx", "-batch", "-x", path)
			if err == nil && r.Status != 0 {
				t.Errorf("status %d:\n%s", r.Status, r.Output)
			}
			if st, err := os.Stat(filepath.Join(work, "vmcore")); err != nil || st.Size() < 1<<30 {
				t.Errorf("the dump: %v, %v:\n%s", st, err, r.Output)
			}
			os.RemoveAll(work)
			return err
		})
	}
	must(t, g.Wait())
	left, err := os.ReadDir(dir)
	must(t, err)
	for _, l := range left {
		if strings.HasPrefix(l.Name(), "guestcore-") {
			t.Errorf("%s is left", l.Name())
		}
	}
}
