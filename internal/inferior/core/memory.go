package core

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// ReadAt reads the process's memory. The order is gdb's for a native core:
// what the core stores, then the mapped file, then zeros for memory that the
// kernel left out and no file has (guard pages, never-touched memory). What a
// truncated core lost is a fault and never zeros.
func (p *Process) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		a := addr.HVA(off) + addr.HVA(n)
		e, ok := p.mappings.Find(a)
		if !ok {
			return n, &inferior.FaultError{Addr: a}
		}
		part := b[n:]
		if left := uint64(e.End() - a); uint64(len(part)) > left {
			part = part[:left]
		}
		var got int
		var err error
		switch e.Kind {
		case extent.Data:
			got, err = p.readCore(part, a, e)
		case extent.Lost:
			return n, &inferior.FaultError{Addr: a, Reason: fmt.Sprintf("the core is truncated: it has %d of %d bytes", p.have, p.want)}
		default:
			got, err = p.readOmitted(part, a)
		}
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (p *Process) readCore(b []byte, a addr.HVA, e extent.Extent[addr.HVA, addr.FileOff]) (int, error) {
	at := e.Off.Offset() + int64(a-e.Addr)
	n, err := p.r.ReadAt(b, at)
	if n == len(b) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		return n, &inferior.FaultError{Addr: a + addr.HVA(n), Reason: "the core got shorter while it was read"}
	}
	return n, fmt.Errorf("reading the core for memory at %#x: %w", uint64(a)+uint64(n), err)
}

// readOmitted reads memory that the core does not store, up to the end of the
// file mapping that a lies in, or to the next one.
func (p *Process) readOmitted(b []byte, a addr.HVA) (int, error) {
	files := p.notes.files
	i := sort.Search(len(files), func(i int) bool { return files[i].End > a })
	if i == len(files) || files[i].Start > a {
		if i < len(files) && uint64(files[i].Start-a) < uint64(len(b)) {
			b = b[:files[i].Start-a]
		}
		clear(b)
		return len(b), nil
	}
	m := files[i]
	if left := uint64(m.End - a); uint64(len(b)) > left {
		b = b[:left]
	}
	f := p.mappedFile(m.Path)
	if f.err != nil {
		return 0, &inferior.FaultError{Addr: a, Reason: fmt.Sprintf("it is in the file %s and not in the core: %v", m.Path, f.err)}
	}
	return f.read(b, a, m.Offset+uint64(a-m.Start), p.host.PageSize)
}

// mappedFile is a file the process had mapped, or why it cannot be read.
type mappedFile struct {
	file *os.File
	size uint64
	err  error
}

// errNoFiles is the state of all files without Options.OpenFile.
var errNoFiles = errors.New("files of the process are not read")

// OpenMapped opens a file that the process had mapped, by the path in Files,
// as Options.OpenFile does. The process closes it.
func (p *Process) OpenMapped(path string) (*os.File, error) {
	m := p.mappedFile(path)
	return m.file, m.err
}

// mappedFile opens a mapped file once.
func (p *Process) mappedFile(path string) *mappedFile {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.mapped[path]; m != nil {
		return m
	}
	m := &mappedFile{err: errNoFiles}
	if p.openFile != nil {
		if m.file, m.err = p.openFile(path, p.Held(path)); m.err == nil {
			var st os.FileInfo
			if st, m.err = m.file.Stat(); m.err == nil {
				m.size = uint64(max(st.Size(), 0))
			}
		}
		p.log.Debug("mapped file", slog.String("path", path), slog.Any("err", m.err))
	}
	p.mapped[path] = m
	return m
}

// read reads the file at off, which is mapped at a. As in a mapping, the rest
// of the file's last page is zeros and nothing lies behind it.
func (m *mappedFile) read(b []byte, a addr.HVA, off, pageSize uint64) (int, error) {
	end := (m.size + pageSize - 1) &^ (pageSize - 1)
	if off >= end {
		return 0, &inferior.FaultError{Addr: a, Reason: "the mapped file ends before it"}
	}
	b = b[:min(uint64(len(b)), end-off)]
	stored := b
	if off >= m.size {
		stored = nil
	} else if left := m.size - off; uint64(len(b)) > left {
		stored = b[:left]
	}
	if n, err := m.file.ReadAt(stored, int64(off)); n < len(stored) {
		return n, fmt.Errorf("reading %s for memory at %#x: %w", m.file.Name(), uint64(a)+uint64(n), err)
	}
	clear(b[len(stored):])
	return len(b), nil
}

// Held reads a file that the process had mapped, by its path in Files and by
// file offset, as far as the core itself stores it.
func (p *Process) Held(path string) io.ReaderAt { return &heldFile{p, path} }

// heldFile reads, by file offset, the parts of a mapped file that the core
// itself stores.
type heldFile struct {
	p    *Process
	path string
}

func (h *heldFile) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		got := h.some(b[n:], uint64(off)+uint64(n))
		if got == 0 {
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

// some reads what one mapping holds at off.
func (h *heldFile) some(b []byte, off uint64) int {
	for _, m := range h.p.notes.files {
		if m.Path != h.path || off < m.Offset || off-m.Offset >= uint64(m.End-m.Start) {
			continue
		}
		a := m.Start + addr.HVA(off-m.Offset)
		e, ok := h.p.mappings.Find(a)
		if !ok || e.Kind != extent.Data {
			continue
		}
		left := min(uint64(e.End()-a), uint64(m.End-a))
		n, _ := h.p.readCore(b[:min(uint64(len(b)), left)], a, e)
		return n
	}
	return 0
}
