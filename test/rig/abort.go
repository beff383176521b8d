package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// unlimited returns the command that runs a program with no limit on the size of its core file. The shell gives way to the
// program, so a signal to the process reaches the program.
func unlimited(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	shell := append([]string{"-c", `ulimit -c unlimited && exec "$@"`, "sh", name}, args...)
	cmd := inSession(exec.CommandContext(ctx, "/bin/sh", shell...))
	cmd.Dir = dir
	return cmd
}

// abort kills a process that unlimited started, as assert() would, and leaves the kernel's core file as "core" in its folder.
func abort(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
		return err
	}
	cmd.Wait() // reports the signal; the core is whole when it returns
	return keepCore(cmd)
}

// keepCore leaves the core file of a process that ended as "core" in its folder.
func keepCore(cmd *exec.Cmd) error {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.CoreDump() {
		return fmt.Errorf("%s left no core (%v): is there space on the disk, and a limit set by ulimit -Hc?", cmd.Path, cmd.ProcessState)
	}
	core := filepath.Join(cmd.Dir, "core")
	found, err := filepath.Glob(core + "*") // "core", or "core.PID" if kernel.core_uses_pid is set
	if err != nil {
		return err
	}
	if len(found) != 1 {
		pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
		return fmt.Errorf("the kernel writes cores to %q, not to the folder of the process: run sysctl kernel.core_pattern=core",
			strings.TrimSpace(string(pattern)))
	}
	return os.Rename(found[0], core)
}

// Core runs a program in the folder dir, kills it by SIGABRT after it printed its first byte and returns its core file.
func Core(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := unlimited(ctx, dir, name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		cmd.Cancel()
		cmd.Wait()
		return "", fmt.Errorf("%s printed nothing: %w", name, err)
	}
	return filepath.Join(dir, "core"), abort(cmd)
}

// Assertion runs a QEMU that fails one of its own assertions as it starts, in the empty folder dir, and returns its core file.
func Assertion(ctx context.Context, dir string, qemu QEMU, args ...string) (string, error) {
	name, first := qemu.command()
	args = append(append([]string{"-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"}, qemu.Args...), args...)
	cmd := unlimited(ctx, dir, name, append(first, args...)...)
	out, _ := cmd.CombinedOutput()
	if err := keepCore(cmd); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return filepath.Join(dir, "core"), nil
}
