package rig

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const bootLimit = 5 * time.Minute // under TCG a boot takes some ten seconds; a busy machine may need much more

// Names of what a guest leaves in its folder.
const (
	qmpDump   = "qmp.elf"       // QEMU's own dump-guest-memory, paging=false
	mtree     = "mtree.txt"     // HMP info mtree -f
	registers = "registers.txt" // HMP info registers -a
	serial    = "serial.log"    // the guest's console
)

// guest is a running QEMU.
type guest struct {
	dir    string
	cmd    *exec.Cmd
	qmp    *qmp
	stderr bytes.Buffer
}

// record runs a guest in the folder dir, from boot to core file, and leaves there the files named above and the core.
func record(ctx context.Context, dir string, qemu QEMU, config Config) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	g, err := start(ctx, dir, qemu, config)
	if err != nil {
		return err
	}
	err = g.record(ctx, config)
	if err != nil {
		g.cmd.Cancel()
		g.cmd.Wait()
		console, _ := os.ReadFile(filepath.Join(dir, serial))
		return fmt.Errorf("%w\nQEMU's stderr:\n%s\nthe guest's console:\n%s", err, &g.stderr, console)
	}
	return nil
}

// start starts QEMU with QMP on its stdin and stdout. Ending ctx kills it.
func start(ctx context.Context, dir string, qemu QEMU, config Config) (*guest, error) {
	args, err := arguments(dir, qemu, config)
	if err != nil {
		return nil, err
	}
	name, first := qemu.command()
	g := &guest{dir: dir, cmd: unlimited(ctx, dir, name, append(first, args...)...)}
	g.cmd.Stderr = &g.stderr
	to, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	from, err := g.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	if g.qmp, err = newQMP(to, from); err != nil {
		g.cmd.Cancel()
		g.cmd.Wait()
		return nil, fmt.Errorf("%s did not start: %w\n%s", qemu.Exe, err, &g.stderr)
	}
	return g, nil
}

// arguments returns QEMU's command line and writes the files that it names.
func arguments(dir string, qemu QEMU, config Config) ([]string, error) {
	args := append([]string{"-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-smp", "2",
		"-device", "vmcoreinfo", "-chardev", "stdio,id=qmp", "-mon", "chardev=qmp,mode=control",
		"-serial", "file:" + serial}, qemu.Args...)
	args = append(args, config.Args...)
	for name, data := range config.Files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, err
		}
	}
	if config.Bare {
		return args, nil
	}
	kernel, err := cached("the guest's kernel", setup, "guest", "vmlinuz")
	if err != nil {
		return nil, err
	}
	root, err := initrd(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "initrd"), root, 0o644); err != nil {
		return nil, err
	}
	return append(args, "-kernel", kernel, "-initrd", "initrd", "-append", commandLine(config)), nil
}

// record waits for the guest to be up, stops it, dumps it and kills QEMU.
func (g *guest) record(ctx context.Context, config Config) error {
	if !config.Bare {
		if err := g.awaitMarker(ctx); err != nil {
			return err
		}
	}
	if err := g.plug(ctx, config); err != nil {
		return err
	}
	if _, err := g.qmp.call("stop", nil); err != nil {
		return err
	}
	for command, file := range map[string]string{"info mtree -f": mtree, "info registers -a": registers} {
		text, err := g.qmp.monitor(command)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := g.dump(ctx, qmpDump, nil); err != nil {
		return err
	}
	for _, w := range config.Windows {
		if err := g.dump(ctx, w.file(), map[string]any{"begin": w.Begin, "length": w.Length}); err != nil {
			return err
		}
	}
	for _, format := range config.Dumps {
		dump := map[string]any{"paging": false, "protocol": "file:qmp." + format, "format": format}
		if _, err := g.qmp.call("dump-guest-memory", dump); err != nil {
			return err
		}
	}
	return abort(g.cmd)
}

// dump has QEMU dump the guest, with more arguments than the usual ones.
func (g *guest) dump(ctx context.Context, file string, more map[string]any) error {
	arguments := map[string]any{"paging": false, "protocol": "file:" + file}
	maps.Copy(arguments, more)
	if _, err := g.qmp.call("dump-guest-memory", arguments); err != nil {
		return err
	}
	return sparse(ctx, filepath.Join(g.dir, file))
}

// file is the name of QEMU's dump of a window.
func (w Window) file() string { return fmt.Sprintf("qmp-%x-%x.elf", w.Begin, w.Length) }

func (g *guest) awaitMarker(ctx context.Context) error {
	for {
		console, err := os.ReadFile(filepath.Join(g.dir, serial))
		if err == nil && bytes.Contains(console, []byte(marker)) {
			return nil
		}
		if exited(g.cmd.Process.Pid) {
			return fmt.Errorf("QEMU ended before the guest was up")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guest was not up in %v", bootLimit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// exited says that a child ended and waits to be collected.
func exited(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, fields, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(fields, []byte("Z"))
}

// sparse gives the zeros of a file back to the file system.
func sparse(ctx context.Context, path string) error {
	result, err := Run(ctx, bootLimit, "", "fallocate", "--dig-holes", path)
	if err == nil && result.Status != 0 {
		err = fmt.Errorf("making %s sparse: %s", path, result.Output)
	}
	return err
}
