package live

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior/procmaps"
)

// Mappings says where memory is to be read: at its own address in
// /proc/PID/mem, which is file 0, or in the file behind a shared mapping.
// Anonymous memory that was never touched is Zero.
func (p *Process) Mappings() *extent.Map[addr.HVA, addr.FileOff] { return p.mappings }

// Backing are the files that Mappings numbers.
func (p *Process) Backing() []addr.Source {
	out := make([]addr.Source, len(p.files))
	for i, f := range p.files {
		out[i] = f
	}
	return out
}

func (p *Process) mapMemory() error {
	for _, f := range p.files[1:] { // those of an earlier look
		f.Close()
	}
	p.files = p.files[:1]
	p.mappings = &extent.Map[addr.HVA, addr.FileOff]{}
	pages, err := os.Open(filepath.Join(p.dir, "pagemap"))
	if err != nil {
		p.log.Debug("which memory was never touched is not known", "reason", err)
	} else {
		defer pages.Close()
	}
	shared := map[fileID]int{}
	for _, m := range p.maps {
		if int64(m.Start) < 0 { // vsyscall
			continue
		}
		e := hostExtent{Addr: m.Start, Size: uint64(m.End - m.Start), Off: addr.InFile(0, int64(m.Start))}
		if number, ok := p.sharedFile(m, shared); ok {
			e.Off = addr.InFile(number, int64(m.Offset))
		} else if !m.IsFile() && !m.Shared && pages != nil {
			if err := p.insertTouched(m, pages); err != nil {
				return err
			}
			continue
		}
		if err := p.mappings.Insert(e); err != nil {
			return fmt.Errorf("process %d: mappings: %w", p.pid, err)
		}
	}
	return nil
}

type hostExtent = extent.Extent[addr.HVA, addr.FileOff]

type fileID struct {
	dev   uint64
	inode uint64
}

// sharedFile opens the file behind a shared procmaps.Mapping, so that the kernel can
// copy out of it and knows its holes. It is number in files. The mapping of a
// device, and a file that cannot be opened, are read as memory.
func (p *Process) sharedFile(m procmaps.Mapping, known map[fileID]int) (number int, ok bool) {
	if !m.Shared || !m.IsFile() {
		return 0, false
	}
	f, err := p.openShared(m)
	if err != nil {
		p.log.Debug("the file of a shared mapping is read as memory", "path", m.Path, "reason", err)
		return 0, false
	}
	id, size, err := identify(f)
	if number, seen := known[id]; err == nil && seen {
		f.Close()
		return number, true
	}
	if err != nil || uint64(size) < m.Offset+uint64(m.End-m.Start) {
		f.Close()
		return 0, false
	}
	p.files = append(p.files, f)
	known[id] = len(p.files) - 1
	return known[id], true
}

// openShared opens the file of a mapping: as the mapping itself, which needs
// privileges, as one of the process's open files, or by its name.
func (p *Process) openShared(m procmaps.Mapping) (*os.File, error) {
	names := []string{filepath.Join(p.dir, "map_files", fmt.Sprintf("%x-%x", uint64(m.Start), uint64(m.End)))}
	fds, _ := os.ReadDir(filepath.Join(p.dir, "fd"))
	for _, fd := range fds {
		names = append(names, filepath.Join(p.dir, "fd", fd.Name()))
	}
	names = append(names, filepath.Join(p.dir, "root", m.Path))
	var first error
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		sys := st.Sys().(*syscall.Stat_t)
		if sys.Ino != m.Inode || !sameDevice(m.Dev, sys.Dev) {
			continue
		}
		f, err := os.Open(name)
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = os.ErrNotExist
	}
	return nil, first
}

// sameDevice compares a device as maps prints it. On file systems with devices
// of their own for files, as Btrfs, the two differ; the inode has to do then.
func sameDevice(maps string, dev uint64) bool {
	var major, minor uint64
	if _, err := fmt.Sscanf(maps, "%x:%x", &major, &minor); err != nil {
		return false
	}
	return major == 0 || major == dev>>8&0xfff && minor == dev&0xff|dev>>12&0xfff00
}

func identify(f *os.File) (id fileID, size int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return id, 0, err
	}
	sys := st.Sys().(*syscall.Stat_t)
	return fileID{sys.Dev, sys.Ino}, st.Size(), nil
}

// Bits of an entry of /proc/PID/pagemap (proc_pid_pagemap(5)).
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
)

// leastHole is the number of untouched pages in a row that are worth an extent
// of their own.
const leastHole = 16

// insertTouched maps anonymous memory: pages that are neither in memory nor in
// swap were never written and are zero. To read those would have the kernel
// make tables for them.
func (p *Process) insertTouched(m procmaps.Mapping, pages *os.File) error {
	size := addr.HVA(p.host.PageSize)
	insert := func(kind extent.Kind, start, end addr.HVA) error {
		if start == end {
			return nil
		}
		return p.mappings.Insert(hostExtent{Addr: start, Size: uint64(end - start), Off: addr.InFile(0, int64(start)), Kind: kind})
	}
	buf := make([]byte, 64<<10)
	data, hole := m.Start, m.Start // what is not inserted yet: data, then a hole from there on
	for at := m.Start; at < m.End; {
		b := buf[:min(uint64(len(buf)), uint64(m.End-at)/p.host.PageSize*8)]
		n, err := pages.ReadAt(b, int64(at/size)*8)
		if n < 8 {
			p.log.Debug("pagemap ends early", "address", strconv.FormatUint(uint64(at), 16), "reason", err)
			return insert(extent.Data, data, m.End)
		}
		for ; n >= 8; n, b = n-8, b[8:] {
			if binary.NativeEndian.Uint64(b)&(pagePresent|pageSwapped) != 0 {
				if (at-hole)/size >= leastHole {
					if err := insert(extent.Data, data, hole); err != nil {
						return err
					}
					if err := insert(extent.Zero, hole, at); err != nil {
						return err
					}
					data = at
				}
				hole = at + size
			}
			at += size
		}
	}
	if err := insert(extent.Data, data, hole); err != nil {
		return err
	}
	return insert(extent.Zero, hole, m.End)
}

// OpenMapped opens the file of a procmaps.Mapping, see [inferior.Opener]: through the
// process's own view of the file system, if it is the same file still.
func (p *Process) OpenMapped(path string) (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.mapped[path]; f != nil {
		return f, nil
	}
	for _, m := range p.maps {
		if m.Path != path || !m.IsFile() {
			continue
		}
		f, err := p.openShared(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		p.mapped[path] = f
		return f, nil
	}
	return nil, fmt.Errorf("%s is not mapped: %w", path, os.ErrNotExist)
}

// Awaits reports whether memory of the process may still have to come: pages
// that somebody fills when they are first touched (userfaultfd(2)), as QEMU
// does where a migration arrives in postcopy. Until then they read as zeros,
// or not at all.
func (p *Process) Awaits() bool { return p.awaits }

// awaitsMemory looks at the mappings only if the process has a userfaultfd:
// that takes the kernel a walk through all page tables.
func (p *Process) awaitsMemory() bool {
	fds, _ := os.ReadDir(filepath.Join(p.dir, "fd"))
	if !slices.ContainsFunc(fds, func(fd os.DirEntry) bool {
		to, _ := os.Readlink(filepath.Join(p.dir, "fd", fd.Name()))
		return to == "anon_inode:[userfaultfd]"
	}) {
		return false
	}
	f, err := os.Open(filepath.Join(p.dir, "smaps"))
	if err != nil {
		p.log.Debug("which memory a userfaultfd fills is not known", "reason", err)
		return true
	}
	defer f.Close()
	return procmaps.FilledByOthers(f)
}
