package rig

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// The shelf is the folder of the fixtures. Beside each fixture lies a lock file: who uses it holds the lock shared, who
// makes or deletes it holds it alone.

const diskLimit = 24 << 30 // bytes on disk that fixtures may take together; they are sparse

// whole is the file that is written last into a fixture's folder.
const whole = "whole"

// held are the locks of the fixtures in use, kept until the process ends. Tests that run at the same time add to it.
var held struct {
	sync.Mutex
	files []*os.File
}

// once has fill make what is in the folder dir unless it is there, among all processes, and holds it against evict.
func once(dir string, fill func() error) error {
	use, err := lock(dir+".lock", syscall.LOCK_SH)
	if err != nil {
		return err
	}
	if !isWhole(dir) {
		err := flock(use, syscall.LOCK_EX)
		if err == nil && !isWhole(dir) { // nobody made it meanwhile
			err = makeWhole(dir, fill)
		}
		if err == nil {
			err = flock(use, syscall.LOCK_SH)
		}
		if err != nil {
			use.Close()
			return err
		}
	}
	held.Lock()
	held.files = append(held.files, use)
	held.Unlock()
	now := time.Now()
	return os.Chtimes(dir, now, now)
}

// makeWhole has fill work in the folder dir, empty before. The folder has its final name from the start: QEMU's core names
// the files in it.
func makeWhole(dir string, fill func() error) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := fill(); err != nil {
		os.RemoveAll(dir)
		return err
	}
	return os.WriteFile(filepath.Join(dir, whole), nil, 0o644)
}

func isWhole(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, whole))
	return err == nil
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
		if !entry.IsDir() {
			continue // a lock
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // a guest that did not come up
		}
		if err != nil {
			return err
		}
		f := fixture{dir: filepath.Join(root, entry.Name()), used: info.ModTime()}
		f.size = onDisk(f.dir)
		total += f.size
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b fixture) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
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
		total += OnDisk(filepath.Join(dir, entry.Name()))
	}
	return total
}

// OnDisk is the space that a file takes, holes not counted; 0 if it cannot be known.
func OnDisk(path string) int64 {
	var stat syscall.Stat_t
	if err := syscall.Lstat(path, &stat); err != nil {
		return 0
	}
	return stat.Blocks * 512
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
