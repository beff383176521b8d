package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const scriptLimit = 20 * time.Minute // the script reads 4 KiB at a time through gdb

// RunScript dumps a core with QEMU's Python script in gdb to the file out, which must not exist. The core must be of
// DebugQEMU: the script needs debug information.
func RunScript(ctx context.Context, exe, core, out string) (Result, error) {
	gdb, err := PythonGDB()
	if err != nil {
		return Result{}, err
	}
	script, err := Script()
	if err != nil {
		return Result{}, err
	}
	result, err := Run(ctx, scriptLimit, filepath.Dir(out), gdb, "-nx", "-batch", "-ex", "file "+exe, "-ex", "core-file "+core,
		"-ex", "source "+script, "-ex", "dump-guest-memory "+out+" X86_64")
	if err != nil {
		return result, err
	}
	if _, err := os.Stat(out); err != nil || result.Status != 0 {
		return result, fmt.Errorf("QEMU's script failed on %s:\n%s", core, result.Output)
	}
	return result, nil
}

// ScriptDump is the dump of the fixture's core by QEMU's Python script, made when first asked for.
func (f *Fixture) ScriptDump(ctx context.Context) (string, error) {
	out := filepath.Join(f.Dir, "script.elf")
	one, err := lock(f.Dir+".script.lock", syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer one.Close()
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	fresh := out + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return "", err
	}
	if _, err := RunScript(ctx, f.QEMU.Exe, f.Core, fresh); err != nil {
		return "", err
	}
	if err := sparse(ctx, fresh); err != nil {
		return "", err
	}
	return out, os.Rename(fresh, out)
}
