package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Fixture is a guest that was stopped, dumped by QEMU and killed. It lives in the cache and serves every process that asks
// for the same guest, so nobody may change its files.
type Fixture struct {
	QEMU   QEMU
	Config Config
	Dir    string

	Core      string // the core of QEMU, killed by SIGABRT while the guest was stopped
	QMPDump   string // QEMU's own ELF dump, paging=false, taken just before
	MTree     string // what HMP info mtree -f printed
	Registers string // what HMP info registers -a printed
	RAMFile   string // the file that holds the guest's RAM, "" if there is none
}

// Boot returns the fixture of this guest in this QEMU, from the cache or made now, which takes half a minute. One guest is made
// at a time on a machine. The fixture stays at least until the calling process ends.
func Boot(ctx context.Context, qemu QEMU, config Config) (*Fixture, error) {
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	key, err := key(qemu, config)
	if err != nil {
		return nil, fmt.Errorf("guest %s in QEMU %s: %w", config.Name, qemu.Name, err)
	}
	dir := filepath.Join(cache, "fixtures", qemu.Name+"-"+config.Name+"-"+key)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	err = once(dir, func() error {
		one, err := lock(filepath.Join(cache, "boot.lock"), syscall.LOCK_EX)
		if err != nil {
			return err
		}
		defer one.Close()
		if err := evict(filepath.Dir(dir)); err != nil {
			return err
		}
		return record(ctx, dir, qemu, config)
	})
	if err != nil {
		return nil, fmt.Errorf("guest %s in QEMU %s: %w", config.Name, qemu.Name, err)
	}
	return newFixture(dir, qemu, config), nil
}

// Record makes a fixture in the empty folder dir, for this caller alone.
func Record(ctx context.Context, dir string, qemu QEMU, config Config) (*Fixture, error) {
	if err := record(ctx, dir, qemu, config); err != nil {
		return nil, fmt.Errorf("guest %s in QEMU %s: %w", config.Name, qemu.Name, err)
	}
	return newFixture(dir, qemu, config), nil
}

// Dump is QEMU's own dump in one of Config.Dumps.
func (f *Fixture) Dump(format string) string { return filepath.Join(f.Dir, "qmp."+format) }

func newFixture(dir string, qemu QEMU, config Config) *Fixture {
	f := &Fixture{
		QEMU: qemu, Config: config, Dir: dir,
		Core: filepath.Join(dir, "core"), QMPDump: filepath.Join(dir, qmpDump),
		MTree: filepath.Join(dir, mtree), Registers: filepath.Join(dir, registers),
	}
	if config.RAMFile != "" {
		f.RAMFile = filepath.Join(dir, config.RAMFile)
	}
	return f
}

// WindowDump is QEMU's own dump of one of Config.Windows.
func (f *Fixture) WindowDump(w Window) string { return filepath.Join(f.Dir, w.file()) }

// key names all that decides what a fixture holds.
func key(qemu QEMU, config Config) (string, error) {
	id, err := BuildID(qemu.Exe)
	if err != nil {
		return "", err
	}
	release, root := "", []byte(nil)
	if !config.Bare {
		if release, err = KernelRelease(); err != nil {
			return "", err
		}
		if root, err = initrd(config); err != nil {
			return "", err
		}
	}
	const version = 2 // of what record does; count up when it changes
	all := fmt.Appendf(nil, "%d %q %x %q %q %q %x", version, qemu.Exe, id, qemu.Args, config.Args, release, sha256.Sum256(root))
	if config.Windows != nil {
		all = fmt.Append(all, config.Windows)
	}
	if len(config.Dumps) > 0 {
		all = fmt.Appendf(all, " %q", config.Dumps)
	}
	for _, name := range slices.Sorted(maps.Keys(config.Files)) {
		all = fmt.Appendf(all, " %q %x", name, sha256.Sum256(config.Files[name]))
	}
	if config.Commands != nil || config.Plugged != nil {
		all = fmt.Appendf(all, " %q %v", config.Commands, config.Plugged)
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:6]), nil
}
