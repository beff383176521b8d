package dump

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// directAlign is what direct I/O has to be aligned to in the file and in
// memory, in bytes: no less than any disk asks for.
const directAlign = 4096

// What is worth writing around the page cache, in bytes: dumps and runs, and
// what of these is worth a call of its own beforehand. The page cache takes
// small ones faster than a disk does.
const (
	directWorth   = 512 << 20
	directRun     = 128 << 10
	allocateAhead = 1 << 20
)

// directFile is a file that is written around the page cache (O_DIRECT). The
// page cache costs a copy, and memory which a large dump first takes from
// everyone and then waits for.
type directFile struct {
	f       *os.File
	least   int64        // shortest write that goes this way, bytes
	broken  atomic.Bool  // the file system took the flag and not the write
	written atomic.Int64 // bytes
	log     *slog.Logger
}

// openDirect opens a file a second time, for writes of so many bytes at least;
// nil if its file system has no direct I/O.
func openDirect(f *os.File, least int64, log *slog.Logger) *directFile {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		log.Debug("no direct I/O", "why", err)
		return nil
	}
	log.Debug("direct I/O")
	return &directFile{f: os.NewFile(uintptr(fd), f.Name()), least: least, log: log}
}

// takes reports whether a write of n bytes is to go this way.
func (d *directFile) takes(n int64) bool {
	return d != nil && n >= d.least && !d.broken.Load()
}

// write writes as much of p as goes this way and says how much: the rest is
// the page cache's. p lies in memory as off lies in the file, relative to
// directAlign.
func (d *directFile) write(p []byte, off int64) (int, error) {
	if off%directAlign != 0 {
		return 0, nil
	}
	p = p[:len(p)&^(directAlign-1)]
	if len(p) >= allocateAhead {
		// ext4 lets writes to holes in one by one, those to allocated blocks
		// together. What is wrong the write will say.
		unix.Fallocate(int(d.f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, int64(len(p)))
	}
	n, err := d.f.WriteAt(p, off)
	d.written.Add(int64(n))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		d.broken.Store(true)
		d.log.Debug("no direct I/O any more", "offset", off+int64(n), "why", cause(err))
		return n, nil
	}
	if err != nil {
		return n, writeError(off+int64(n), err)
	}
	return n, nil
}

// onDisk reports whether a file's bytes are somewhere else than in memory.
func onDisk(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	return st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC
}
