package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Result is what a program left behind.
type Result struct {
	Output string // stdout and stderr as they came
	Status int    // exit status; -1 if a signal or the timeout ended it
	Time   time.Duration
	Peak   int64 // the most memory it had, in bytes
}

// Run runs a program in a session of its own with nothing on stdin (gdb and crash take the terminal otherwise) and kills
// the whole session after limit. A status other than 0 is not an error.
func Run(ctx context.Context, limit time.Duration, dir, name string, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := inSession(exec.CommandContext(ctx, name, args...))
	cmd.Dir = dir
	start := time.Now()
	output, err := cmd.CombinedOutput()
	result := Result{Output: string(output), Status: cmd.ProcessState.ExitCode(), Time: time.Since(start)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		result.Peak = usage.Maxrss << 10
	}
	if ctx.Err() != nil {
		return result, fmt.Errorf("%s did not end in %v; it printed:\n%s", name, limit, output)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return result, err
}

// inSession gives cmd a session of its own; ending its context kills every process in it. The program also ends with this one,
// which go test may kill.
func inSession(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
