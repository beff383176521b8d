package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// attached offers gdbserver on a unix socket until the test ends. Each connection starts one, attached to a process: a
// gdbserver that listens itself does so on all of the machine's addresses.
func attached(t *testing.T, pid int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gdbserver")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	var servers sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		servers.Wait()
	})
	gdbserver := testkit.GDBServer(t)
	servers.Go(func() {
		for {
			conn, err := ln.AcceptUnix()
			if err != nil {
				return
			}
			file, err := conn.File()
			conn.Close()
			if err != nil {
				t.Error(err)
				return
			}
			cmd := exec.CommandContext(t.Context(), gdbserver, "--attach", "-", strconv.Itoa(pid))
			cmd.Stdin, cmd.Stdout = file, file
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			err = cmd.Start()
			file.Close()
			if err != nil {
				t.Error(err)
				return
			}
			servers.Go(func() { cmd.Wait() })
		}
	})
	return path
}

// proxy starts guestcore in front of a server, until the test ends.
func proxy(t *testing.T, upstream string, args ...string) (address string) {
	t.Helper()
	return serve(t, "", append([]string{"--upstream", upstream}, args...)...).Address
}

// farAway is guestcore in a PID namespace of its own, where it finds no process of this machine, as on another one.
func farAway(t *testing.T) string {
	t.Helper()
	testkit.NeedsMount(t)
	path := filepath.Join(t.TempDir(), "guestcore")
	script := fmt.Sprintf("#!/bin/sh\nexec unshare --pid --fork --kill-child --mount-proc '%s' \"$@\"\n", testkit.Program(t))
	must(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// TestProxy has gdb reach gdbserver through guestcore: what gdb shows is what it shows of gdbserver itself.
func TestProxy(t *testing.T) {
	gdb := testkit.MinimalGDB(t)
	l := start(t, rig.Bare)
	ask := []string{"info threads", "thread apply all bt", "info registers", "info sharedlibrary", "x/2i $pc", "info auxv", "info proc mappings",
		"monitor help"}
	var marked []string
	for _, line := range ask {
		marked = append(marked, "echo == "+line+`\n`, line)
	}
	marked = append(marked, `echo == end\n`, "detach")
	// QEMU runs between the two, and a thread may be somewhere else then: what is different once may be so, not what always is.
	const tries = 5
	differs := map[string]string{}
	for range tries {
		direct := testkit.GDB(t, gdb, commands(append([]string{"target remote " + attached(t, l.PID())}, marked...)...)...)
		passed := testkit.GDB(t, gdb, commands(append([]string{"target remote " + proxy(t, "unix:"+attached(t, l.PID()))}, marked...)...)...)
		clear(differs)
		for _, line := range ask {
			if want, got := answer(t, direct.Output, line), answer(t, passed.Output, line); got != want {
				differs[line] = fmt.Sprintf("of gdbserver\n%s\nthrough guestcore\n%s", want, got)
			}
		}
		if len(differs) == 0 {
			break
		}
	}
	for line, how := range differs {
		t.Errorf("%s: %s", line, how)
	}
	must(t, l.Answers(testkit.Limit))
}

// TestProxyDumps has gdb on gdbserver dump through guestcore, where the process is on this machine and where it is not.
func TestProxyDumps(t *testing.T) {
	for _, test := range []struct {
		name    string
		program string
		config  rig.Config
	}{
		{"near", testkit.Program(t), rig.PC},
		{"far", farAway(t), polling(t)},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := start(t, test.config)
			must(t, l.Stop())
			oracle, err := l.Dump(t.Context(), "qmp.elf")
			must(t, err)
			server, err := rig.Serve(t.Context(), test.program, "", "--upstream", "unix:"+attached(t, l.PID()))
			must(t, err)
			t.Cleanup(func() { server.Stop() })
			out := filepath.Join(t.TempDir(), "vmcore")
			r := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+server.Address, "p $pc", "monitor dump-guest-memory "+out,
				"monitor guestcore info machine", "p $sp", "detach")...)
			if r.Status != 0 {
				t.Fatalf("status %d:\n%s", r.Status, r.Output)
			}
			want := "is on this machine and read directly"
			if test.name == "far" {
				want = "is read through the gdbserver"
			}
			for _, want := range []string{want, "$1 = ", "QEMU version", "$2 = "} {
				if !strings.Contains(r.Output, want) {
					t.Errorf("gdb does not show %q:\n%s", want, r.Output)
				}
			}
			ours, own := testkit.Open(t, out), testkit.Open(t, oracle)
			testkit.Equal(t, ours, own)
			sameNotes(t, ours, own)
			must(t, l.Cont())
			must(t, l.Answers(testkit.Limit))
		})
	}
}

// TestUpstream dumps the process of a gdbserver with no gdb in between, where it is on this machine and where it is not.
func TestUpstream(t *testing.T) {
	for _, test := range []struct{ name, program, says string }{
		{"near", testkit.Program(t), "is on this machine and read directly"},
		{"far", farAway(t), "is read through the gdbserver"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := start(t, polling(t))
			must(t, l.Stop())
			oracle, err := l.Dump(t.Context(), "qmp.elf")
			must(t, err)
			out := filepath.Join(t.TempDir(), "vmcore")
			r := testkit.Run(t, test.program, "dump", "--upstream", "unix:"+attached(t, l.PID()), out)
			if r.Status != 0 || !strings.Contains(r.Output, test.says) || !strings.Contains(r.Output, "the gdbserver keeps the process stopped") {
				t.Fatalf("status %d:\n%s", r.Status, r.Output)
			}
			ours, own := testkit.Open(t, out), testkit.Open(t, oracle)
			testkit.Equal(t, ours, own)
			sameNotes(t, ours, own)
		})
	}
}

// TestProxyFails holds what goes wrong to be an error of gdb that says why.
func TestProxyFails(t *testing.T) {
	l := start(t, rig.Bare)
	script := filepath.Join(t.TempDir(), "script")
	lines := "set sysroot /\ntarget remote " + proxy(t, "unix:"+attached(t, l.PID())) + "\nmonitor dump-guest-memory vmcore s390\necho not reached\n"
	must(t, os.WriteFile(script, []byte(lines), 0o600))
	r := testkit.GDB(t, testkit.MinimalGDB(t), "-x", script)
	if r.Status == 0 || !strings.Contains(r.Output, "s390 was asked for") || strings.Contains(r.Output, "not reached") {
		t.Errorf("status %d:\n%s", r.Status, r.Output)
	}
	gone := testkit.GDB(t, testkit.MinimalGDB(t), "-ex", "target remote "+proxy(t, "127.0.0.1:1"))
	if !strings.Contains(gone.Output, "refused") {
		t.Errorf("of a server that is not there gdb shows\n%s", gone.Output)
	}
}

// TestGuestView dumps through QEMU's own gdbstub, which needs no symbols: gdb sees the guest, and so does the dump.
func TestGuestView(t *testing.T) {
	address, err := rig.FreeAddress()
	must(t, err)
	config := polling(t)
	config.SMP = "2"
	config.Args = append(config.Args, "-gdb", "tcp:"+address)
	l := start(t, config)
	must(t, l.Stop())
	oracle, err := l.Dump(t.Context(), "qmp.elf")
	must(t, err)
	t.Run("gdb", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "vmcore")
		r := testkit.GDB(t, testkit.MinimalGDB(t), "-ex", "target remote "+proxy(t, address), "-ex", "monitor info status",
			"-ex", "monitor dump-guest-memory "+out+" 386 0 32M", "-ex", "info threads", "-ex", "detach")
		if r.Status != 0 || !strings.Contains(r.Output, "VM status: paused") || strings.Count(r.Output, "CPU#") != 2 {
			t.Fatalf("status %d:\n%s", r.Status, r.Output)
		}
		verify := testkit.Guestcore(t, "verify", "--partial", "--range", "0-0x2000000", out, oracle)
		if verify.Status != 0 || !strings.Contains(verify.Output, "identical: 32.0 MiB") {
			t.Errorf("verify: status %d\n%s", verify.Status, verify.Output)
		}
	})
	t.Run("alone", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "vmcore")
		r := testkit.Guestcore(t, "dump", "--upstream", address, out, "386")
		if r.Status != 0 {
			t.Fatalf("status %d:\n%s", r.Status, r.Output)
		}
		testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, oracle))
	})
	t.Run("goes on", func(t *testing.T) {
		for name, args := range map[string][]string{
			"dump":    {"dump", "--upstream", address, "/dev/null", "386"},
			"refused": {"dump", "--upstream", address, "/dev/null", "s390", "0", "0x1000"},
			"info":    {"info", "--upstream", address},
		} {
			must(t, l.Cont())
			testkit.Guestcore(t, args...)
			if status, err := l.Status(); err != nil || status != "running" {
				t.Errorf("%s: the guest is %q, %v", name, status, err)
			}
		}
	})
}

// TestGuestViewPrelaunch leaves a guest that was not started to who will start it.
func TestGuestViewPrelaunch(t *testing.T) {
	address, err := rig.FreeAddress()
	must(t, err)
	config := polling(t)
	config.Args = append(config.Args, "-S", "-gdb", "tcp:"+address)
	l := start(t, config)
	if r := testkit.Guestcore(t, "dump", "--upstream", address, "/dev/null", "386"); r.Status != 0 {
		t.Errorf("status %d:\n%s", r.Status, r.Output)
	}
	if status, err := l.Status(); err != nil || status != "prelaunch" {
		t.Errorf("the guest is %q, %v", status, err)
	}
}
