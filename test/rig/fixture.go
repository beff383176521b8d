package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
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

const diskLimit = 8 << 30 // bytes on disk that fixtures may take together; they are sparse

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
	err = once(dir, func(fresh string) error {
		one, err := lock(filepath.Join(cache, "boot.lock"), syscall.LOCK_EX)
		if err != nil {
			return err
		}
		defer one.Close()
		if err := evict(filepath.Dir(dir)); err != nil {
			return err
		}
		return record(ctx, fresh, qemu, config)
	})
	if err != nil {
		return nil, fmt.Errorf("guest %s in QEMU %s: %w", config.Name, qemu.Name, err)
	}
	f := &Fixture{
		QEMU: qemu, Config: config, Dir: dir,
		Core: filepath.Join(dir, "core"), QMPDump: filepath.Join(dir, qmpDump),
		MTree: filepath.Join(dir, mtree), Registers: filepath.Join(dir, registers),
	}
	if config.RAMFile != "" {
		f.RAMFile = filepath.Join(dir, config.RAMFile)
	}
	return f, nil
}

// key names all that decides what a fixture holds.
func key(qemu QEMU, config Config) (string, error) {
	id, err := BuildID(qemu.Exe)
	if err != nil {
		return "", err
	}
	release := []byte("none")
	root := release
	if !config.Bare {
		path, err := cached("the guest's kernel", setup, "guest", "release")
		if err != nil {
			return "", err
		}
		if release, err = os.ReadFile(path); err != nil {
			return "", err
		}
		if root, err = initrd(); err != nil {
			return "", err
		}
	}
	const version = 1 // of what record does; count up when it changes
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %x %q %q %q %x", version, qemu.Exe, id, qemu.Args, config.Args, release,
		sha256.Sum256(root)))
	return hex.EncodeToString(sum[:6]), nil
}

// held are the locks of the fixtures in use, kept until the process ends.
var held []*os.File

// once has fill make the folder dir unless it is there, among all processes, and holds it against evict.
func once(dir string, fill func(fresh string) error) error {
	use, err := lock(dir+".lock", syscall.LOCK_SH)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		if err := flock(use, syscall.LOCK_EX); err != nil {
			return err
		}
		if _, err := os.Stat(dir); err != nil { // nobody made it meanwhile
			if err := makeFresh(dir, fill); err != nil {
				use.Close()
				return err
			}
		}
		if err := flock(use, syscall.LOCK_SH); err != nil {
			return err
		}
	}
	held = append(held, use)
	now := time.Now()
	return os.Chtimes(dir, now, now)
}

// makeFresh has fill work in a new folder and gives it its name when all went well.
func makeFresh(dir string, fill func(fresh string) error) error {
	fresh := dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	if err := fill(fresh); err != nil {
		os.RemoveAll(fresh)
		return err
	}
	return os.Rename(fresh, dir)
}

// evict deletes the fixtures that were not used for longest and that no process uses now, until the rest fits diskLimit.
func evict(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	type fixture struct {
		dir  string
		used time.Time
		size int64
	}
	var all []fixture
	var total int64
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasSuffix(entry.Name(), ".new") {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f := fixture{dir: filepath.Join(root, entry.Name()), used: info.ModTime()}
		f.size = onDisk(f.dir)
		total += f.size
		all = append(all, f)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].used.Before(all[j].used) })
	for _, f := range all {
		if total <= diskLimit {
			break
		}
		use, err := lock(f.dir+".lock", syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // in use
		}
		err = os.RemoveAll(f.dir)
		use.Close()
		if err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}

// onDisk is the space that the files of a folder take, holes not counted.
func onDisk(dir string) int64 {
	var total int64
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			total += stat.Blocks * 512
		}
	}
	return total
}

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}
