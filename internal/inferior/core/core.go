// Package core is a process that died, read from the ELF core file the kernel
// (or gdb's gcore) wrote of it.
//
// It is not a reader of ELF programs: that is objfile. It is not a reader of
// vmcores either, which are ELF cores too, but of a guest; such a file is
// refused with words. debug/elf is not used, since it ignores PN_XNUM and so
// loses the segments beyond the 65,534th.
//
// Nothing the file says of its own sizes is believed: each is compared with
// the size of the file before memory is taken for it. The file is read with
// pread, never mapped, so that a file that gets shorter is an error and not a
// signal.
//
// Below it is package inferior, whose Process it implements.
package core

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sort"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/corefile"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// Options say how to open a core. The zero value reads the core alone.
type Options struct {
	// OpenFile opens a file that the process had mapped, for the bytes the
	// kernel left to it (program text): path is what the kernel called it,
	// held reads by file offset what the core holds of it, which is enough
	// to tell whether it is the right build. It is called once a path, when
	// its bytes are first asked for; the core closes the file.
	// Nil: memory that is only in files faults.
	OpenFile func(path string, held io.ReaderAt) (*os.File, error)
	// Log gets a line for each decision; nil for none.
	Log *slog.Logger
}

// Process is the process a core file holds. It may be read by several
// goroutines.
type Process struct {
	r    io.ReaderAt
	file *os.File // r's, nil in tests
	log  *slog.Logger

	head     header
	host     inferior.Host
	notes    notes
	regions  []inferior.Region
	mappings *extent.Map[addr.HVA, addr.FileOff]
	want     int64 // size the segments claim
	have     int64 // size of the file

	openFile func(path string, held io.ReaderAt) (*os.File, error)
	mu       sync.Mutex
	mapped   map[string]*mappedFile
}

var (
	_ inferior.Process  = (*Process)(nil)
	_ inferior.Regioner = (*Process)(nil)
	_ inferior.Opener   = (*Process)(nil)
)

// Open reads the headers and notes of a core file. The memory stays in the
// file until it is asked for. The error says what the file is instead when it
// is no core of a process.
func Open(path string, opt Options) (*Process, error) {
	f, err := corefile.Regular(path)
	if err != nil {
		return nil, err
	}
	p, err := New(f, opt)
	if err != nil {
		f.Close()
	}
	return p, err
}

// New is Open for a file that is open already. The process closes it, unless
// there is an error.
func New(f *os.File, opt Options) (*Process, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p, err := parse(f, st.Size(), opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	p.file = f
	return p, nil
}

// parse reads a core of size bytes out of r.
func parse(r io.ReaderAt, size int64, opt Options) (*Process, error) {
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if size == 0 {
		return nil, ErrEmpty
	}
	if err := CheckMagic(r); err != nil {
		return nil, err
	}
	head, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	progs, err := head.readProgs(r, size)
	if err != nil {
		return nil, err
	}
	p := &Process{
		r: r, log: log, head: head, have: size,
		openFile: opt.OpenFile, mapped: map[string]*mappedFile{},
	}
	if p.notes, err = readNotes(r, size, head, progs); err != nil {
		return nil, err
	}
	p.host = inferior.Host{Machine: head.machine, Class: head.class, Order: head.order, PageSize: 4096}
	if v, ok := inferior.AuxValue(p, inferior.AT_PAGESZ); ok && v >= 4096 && v <= 1<<20 && v&(v-1) == 0 {
		p.host.PageSize = v
	}
	if err := p.mapSegments(progs); err != nil {
		return nil, err
	}
	p.mapFiles()
	p.findOwnTIDs()
	return p, nil
}

// Host is the machine the process ran on.
func (p *Process) Host() inferior.Host { return p.host }

// PID is the process's id, the first thread's when nothing says.
func (p *Process) PID() int { return p.notes.pid }

// Command is the command line: as the process got it where its stack still
// shows it, else what the kernel noted, cut at 80 bytes.
func (p *Process) Command() []string {
	if argv := p.stackArgs(); argv != nil {
		return argv
	}
	return strings.Fields(p.notes.psargs)
}

// Threads lists the threads in the order of the file: the kernel writes the
// one that crashed first.
func (p *Process) Threads() []inferior.Thread { return p.notes.threads }

// Auxv is the NT_AUXV note.
func (p *Process) Auxv() []byte { return p.notes.auxv }

// Files lists the file mappings of the NT_FILE note.
func (p *Process) Files() []inferior.FileMapping { return p.notes.files }

// Mappings says where memory lies in the core, which is file 0.
func (p *Process) Mappings() *extent.Map[addr.HVA, addr.FileOff] { return p.mappings }

// Backing is the core file alone.
func (p *Process) Backing() []addr.Source { return []addr.Source{p.file} }

// Regions lists the segments of the core.
func (p *Process) Regions() []inferior.Region { return p.regions }

// Protection is the access the process had at a. It is false for memory that
// has no segment of its own.
func (p *Process) Protection(a addr.HVA) (elf.ProgFlag, bool) {
	i := sort.Search(len(p.regions), func(i int) bool { return p.regions[i].End > a })
	if i == len(p.regions) || p.regions[i].Start > a {
		return 0, false
	}
	return p.regions[i].Prot, true
}

// Truncated compares the size the file should have, by its segments, with the
// one it has. The core was cut short when have < want.
func (p *Process) Truncated() (want, have int64) { return p.want, p.have }

// Close closes the core and the mapped files. It may be called again.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, m := range p.mapped {
		if m.file != nil {
			err = errors.Join(err, m.file.Close())
		}
	}
	p.mapped = map[string]*mappedFile{}
	if p.file != nil {
		if cerr := p.file.Close(); !errors.Is(cerr, os.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	return err
}
