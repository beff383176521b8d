package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// TestContainer reads a QEMU in a PID namespace of its own, as in a container, and what gdb's gcore writes of it from outside: QEMU
// knows its vCPUs' threads by other numbers than the world outside, and has its registers nevertheless.
func TestContainer(t *testing.T) {
	q := testkit.StockQEMU(t)
	args := []string{"-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "pc", "-m", "64M", "-smp", "2", "-S",
		"-chardev", "stdio,id=qmp", "-mon", "chardev=qmp,mode=control"}
	cmd := exec.Command(q.Exe, append(q.Args, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	_, err = io.WriteString(in, `{"execute": "qmp_capabilities"} {"execute": "query-status"}`+"\n")
	must(t, err)
	answers := bufio.NewScanner(out)
	for answers.Scan() && !strings.Contains(answers.Text(), `"prelaunch"`) { // it answers once the machine is there
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	core := filepath.Join(t.TempDir(), "core")
	if r := testkit.GDB(t, testkit.MinimalGDB(t), "-p", pid, "-ex", "generate-core-file "+core); r.Status != 0 {
		t.Fatalf("gdb's core:\n%s", r.Output)
	}
	for name, source := range map[string][]string{"alive": {"--pid", pid}, "gcore": {core}} {
		t.Run(name, func(t *testing.T) {
			threadsOutside(t, pid, testkit.Guestcore(t, append([]string{"info"}, source...)...))
		})
	}
}

// threadsOutside holds the threads that info prints of two vCPUs against those of a process.
func threadsOutside(t *testing.T, pid string, r rig.Result) {
	t.Helper()
	threads := regexp.MustCompile(`(?m)^  [01]  ([0-9]+) +(?:stopped|halted) +valid$`).FindAllStringSubmatch(r.Output, -1)
	if r.Status != 0 || len(threads) != 2 {
		t.Fatalf("status %d:\n%s", r.Status, r.Output)
	}
	for _, thread := range threads {
		if err := syscall.Access("/proc/"+pid+"/task/"+thread[1], 0); err != nil {
			t.Errorf("a vCPU's thread %s is none of process %s: %v", thread[1], pid, err)
		}
	}
}
