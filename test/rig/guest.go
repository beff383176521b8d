package rig

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	bootLimit = 5 * time.Minute        // under TCG a boot takes some ten seconds; a busy machine may need much more
	bareLimit = time.Minute            // a guest without Linux is there in a tenth of a second
	settle    = 200 * time.Millisecond // in which a guest that was stopped for a dump runs on
)

// Names of what a guest leaves in its folder.
const (
	qmpDump    = "qmp.elf"        // QEMU's own dump-guest-memory, paging=false
	pagingDump = "qmp-paging.elf" // the same, paging=true, if that was asked for
	mtree      = "mtree.txt"      // HMP info mtree -f
	tlb        = "tlb.txt"        // HMP info tlb: every page that the first vCPU has mapped
	registers  = "registers.txt"  // HMP info registers -a

	memoryDevices = "memory-devices.json" // QMP query-memory-devices
	serial        = "serial.log"          // the guest's console
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
	limit := bootLimit
	if config.Bare {
		limit = bareLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if config.HugePages > 0 {
		release, err := reserveHugePages(config.HugePages)
		if err != nil {
			return err
		}
		defer release()
	}
	g, err := start(ctx, dir, qemu, config)
	if err != nil {
		return err
	}
	err = g.record(ctx, qemu, config)
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
	args := append([]string{"-nodefaults", "-no-user-config", "-display", "none"}, qemu.Args...)
	args = append(args, "-accel", "tcg", "-smp", cmp.Or(config.SMP, "2"), "-chardev", "stdio,id=qmp", "-mon", "chardev=qmp,mode=control")
	args = append(args, config.Args...)
	args = append(args, "-serial", "file:"+serial)
	if !config.NoVMCoreInfo {
		args = append(args, "-device", "vmcoreinfo")
	}
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
func (g *guest) record(ctx context.Context, qemu QEMU, config Config) error {
	if err := g.awaitUp(ctx, config); err != nil {
		return err
	}
	if err := g.plug(ctx, config); err != nil {
		return err
	}
	if !config.Running {
		if _, err := g.qmp.call("stop", nil); err != nil {
			return err
		}
	}
	texts := map[string]string{"info mtree -f": mtree, "info registers -a": registers}
	if config.Paging {
		texts["info tlb"] = tlb
	}
	for command, file := range texts {
		text, err := g.qmp.monitor(command)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := g.dumps(ctx, config); err != nil {
		return err
	}
	if config.Running {
		time.Sleep(settle)
	}
	if config.CoreFilter != "" {
		filter := fmt.Sprintf("/proc/%d/coredump_filter", g.cmd.Process.Pid)
		if err := os.WriteFile(filter, []byte(config.CoreFilter), 0o644); err != nil {
			return err
		}
	}
	return qemu.abort(g)
}

// awaitUp waits for the guest to be as far as its configuration says.
func (g *guest) awaitUp(ctx context.Context, config Config) error {
	says := config.Says
	if !config.Bare {
		says = marker
	}
	if err := g.awaitConsole(ctx, says); err != nil {
		return err
	}
	return g.awaitWords(ctx, config.Ready)
}

// awaitConsole waits until the guest has printed a text.
func (g *guest) awaitConsole(ctx context.Context, text string) error {
	return g.await(ctx, func() (bool, error) {
		console, err := os.ReadFile(filepath.Join(g.dir, serial))
		return text == "" || err == nil && printed(console, text), nil
	})
}

// kernelLine is a line of Linux's log. The kernel puts whole ones in the middle of what a program prints, as of memory that is
// plugged just then.
var kernelLine = regexp.MustCompile(`\[ *[0-9]+\.[0-9]{6}\] [^\r\n]*\r?\n`)

// printed reports whether a text is on a console, by the kernel or a program.
func printed(console []byte, text string) bool {
	return bytes.Contains(console, []byte(text)) || bytes.Contains(kernelLine.ReplaceAll(console, nil), []byte(text))
}

// awaitWords waits for words of guest memory.
func (g *guest) awaitWords(ctx context.Context, words []Word) error {
	return g.await(ctx, func() (bool, error) {
		for _, w := range words {
			said, err := g.qmp.monitor(fmt.Sprintf("xp /1wx %#x", w.Addr))
			if err != nil || !strings.Contains(said, fmt.Sprintf(": 0x%08x", w.Value)) {
				return false, err
			}
		}
		return true, nil
	})
}

// await waits until the guest is up.
func (g *guest) await(ctx context.Context, up func() (bool, error)) error {
	for {
		if ok, err := up(); ok || err != nil {
			return err
		}
		if exited(g.cmd.Process.Pid) {
			return fmt.Errorf("QEMU ended before the guest was up")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guest was not up in time: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
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
