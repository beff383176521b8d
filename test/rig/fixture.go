package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
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

// Refusal is what QEMU said when it refused one of Config.Refused.
func (f *Fixture) Refusal(format string) (string, error) {
	text, err := os.ReadFile(filepath.Join(f.Dir, refusalFile(format)))
	return string(text), err
}

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

// MemoryDevices is what QMP's query-memory-devices said of the guest as it was stopped.
func (f *Fixture) MemoryDevices() string { return filepath.Join(f.Dir, memoryDevices) }

// PagingDump is QEMU's own dump with paging=true, of a guest with Config.Paging.
func (f *Fixture) PagingDump() string { return filepath.Join(f.Dir, pagingDump) }

// PagingWindowDump is QEMU's own dump with paging=true of one of Config.Windows.
func (f *Fixture) PagingWindowDump(w Window) string { return filepath.Join(f.Dir, "paging-"+w.file()) }

// TLB is what HMP info tlb printed, of a guest with Config.Paging.
func (f *Fixture) TLB() string { return filepath.Join(f.Dir, tlb) }

// WindowDump is QEMU's own dump of one of Config.Windows.
func (f *Fixture) WindowDump(w Window) string { return filepath.Join(f.Dir, w.file()) }

// Saved is the file of one of Config.Saved.
func (f *Fixture) Saved(w Window) string { return filepath.Join(f.Dir, w.savedFile()) }

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
	if config.Paging || config.NoVMCoreInfo {
		all = fmt.Append(all, config.Paging, config.NoVMCoreInfo)
	}
	if config.Running {
		all = fmt.Append(all, " running")
	}
	if len(config.Dumps) > 0 {
		all = fmt.Appendf(all, " %q", config.Dumps)
	}
	all = config.appendRest(all)
	if len(config.Refused) > 0 {
		all = fmt.Appendf(all, " refused %q", config.Refused)
	}
	if len(config.Plugged) > 0 || config.CoreFilter != "" {
		all = fmt.Appendf(all, " %v %s", config.Plugged, config.CoreFilter) // the map in order
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:6]), nil
}

// appendRest appends what a Config may have beside, if it has. A Config without it has the key that it had before there was such
// a thing.
func (c Config) appendRest(key []byte) []byte {
	type rest struct {
		SMP      string
		Files    map[string][sha256.Size]byte
		Ready    []Word
		Commands []string
		Saved    []Window
	}
	r := rest{c.SMP, nil, c.Ready, c.Commands, c.Saved}
	for name, data := range c.Files {
		if r.Files == nil {
			r.Files = map[string][sha256.Size]byte{}
		}
		r.Files[name] = sha256.Sum256(data)
	}
	if reflect.ValueOf(r).IsZero() {
		return key
	}
	return fmt.Appendf(key, " %+v", r) // maps are printed in order
}
