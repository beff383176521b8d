package live

import (
	"os/exec"
	"syscall"
	"testing"
)

// A process in a PID namespace of its own is number 1 there; one in this
// namespace knows its threads as we do.
func TestOwnTID(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags uintptr
		own   func(pid int) int
	}{
		{"here", 0, func(pid int) int { return pid }},
		{"in a container", syscall.CLONE_NEWPID, func(int) int { return 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sleep", "60")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: tt.flags}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			p, err := Open(cmd.Process.Pid, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			threads := p.Threads()
			if len(threads) != 1 || threads[0].TID != cmd.Process.Pid || threads[0].OwnTID() != tt.own(cmd.Process.Pid) {
				t.Errorf("threads %+v of process %d", threads, cmd.Process.Pid)
			}
		})
	}
}
