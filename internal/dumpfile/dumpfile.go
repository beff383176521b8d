// Package dumpfile opens a dump of a guest's memory, in whatever format it is,
// as memory that can be read by guest-physical address. The formats are read
// by packages vmcorefile, vboxfile, windmpfile, kdumpfile and limefile, which
// share no code with the writers.
//
//	ELF                ELF32 and ELF64, both byte orders; made by guestcore,
//	                   QEMU, its Python script or makedumpfile -E
//	VirtualBox VMCore  of VirtualBox or guestcore
//	Windows            complete crash dumps, with a bitmap or without, x64
//	                   and x86
//	kdump-compressed   version 6, raw or flattened, zlib, LZO, Snappy and
//	                   Zstandard, 32 and 64 bits, both byte orders; split by
//	                   makedumpfile: [OpenParts]
//	LiME               version 1
//	raw image          only by [OpenRaw]: there is nothing to tell it by
//
// The core of a process is no dump, though it is an ELF core too: [Open] tells
// them apart by their notes and leaves it to package session.
//
// [File.Guest] is the machine that a dump is of, for a dump in another format.
package dumpfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"guestcore/internal/addr"
	"guestcore/internal/dump/kdumpfile"
	"guestcore/internal/dump/limefile"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/dump/windmpfile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

var (
	// ErrNotDump is a file that is no dump of a guest, by its first bytes.
	ErrNotDump = errors.New("not a dump of a guest's memory")
	// ErrProcess is an [ErrNotDump] that is the core of a process.
	ErrProcess = fmt.Errorf("%w but the core of a process", ErrNotDump)
	// ErrNotFile is an [ErrNotDump] that is a folder, a pipe or a device.
	ErrNotFile = fmt.Errorf("%w: it is no regular file", ErrNotDump)
)

// File is an open dump. Its methods may be called by several goroutines.
type File struct {
	Path   string
	Parts  []string // the files, if there are several
	Format string   // for people
	Size   int64    // of the file, bytes

	// What the file says of the guest; 0, nil and EM_NONE if it does not.
	Class   elf.Class
	Order   binary.ByteOrder
	Machine elf.Machine

	// Block is the unit, in bytes, that the file holds memory in, padded with
	// zeros where the guest has less; 1 if it holds any number of bytes.
	Block uint64
	// Ranges are the memory the file holds, in order, as long as can be.
	Ranges []guest.Range
	// Devices is what else the guest's memory bus leads to, as the file itself
	// says.
	Devices []guest.Range
	// Absent is the memory that the guest had and the file leaves out, as the
	// file itself says.
	Absent []guest.Missing
	// Lost is the memory that the file should hold and is cut short of.
	Lost []guest.Missing
	// Own is where the file may have something else than the guest had, as a
	// Windows crash dump has: the processors' contexts, KDBG.
	Own []guest.Range
	// CPUs are the processors whose registers the reader of the format takes
	// from it, nil for a format of which it takes none. What the file does not
	// say of a register is 0 or nil.
	CPUs []guest.CPU
	// PhysBase is what the header says that an x86-64 kernel calls phys_base,
	// nil in a format that does not.
	PhysBase *int64
	// Problems are what else is wrong with the file.
	Problems []string

	notes   []note
	windows *guest.Windows // of a Windows crash dump
	uname   string         // the machine as uname -m has it, "" if the file does not say
	memory
	close func() error
}

// memory is what each format reads with.
type memory interface {
	// ReadAt reads by guest-physical address. It returns the bytes before the
	// first one that is not there, and an error that names its address.
	io.ReaderAt
	// Zero reports whether n bytes are known to be zero without reading them.
	Zero(a addr.GPA, n uint64) bool
	// Where says for people where in the file a byte is.
	Where(a addr.GPA) string
}

// formats are the formats by what a file of them begins with.
var formats = []struct {
	magic string
	open  func(path string) (*File, error)
}{
	{elf.ELFMAG, opener(vmcorefile.Open, vmcorefile.ErrFormat, newELF)},
	{"PAGEDU64", windows},
	{"PAGEDUMP", windows},
	{"KDUMP   ", kdump},
	{"makedumpfile\x00", kdump},
	{limefile.Magic, opener(limefile.Open, limefile.ErrFormat, newLiME)},
}

var (
	windows = opener(windmpfile.Open, windmpfile.ErrFormat, newWindows)
	kdump   = opener(kdumpfile.Open, kdumpfile.ErrFormat, newKdump)
)

// opener opens files with what their reader is: open, whose error is notOne if
// they are of another format, and file, which makes a File of what that opened.
func opener[R io.Closer](open func(path string) (R, error), notOne error, file func(R) (*File, error)) func(string) (*File, error) {
	return func(path string) (*File, error) {
		r, err := open(path)
		if errors.Is(err, notOne) {
			return nil, fmt.Errorf("%w: %w", err, ErrNotDump)
		}
		if err != nil {
			return nil, err
		}
		f, err := file(r)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return f, nil
	}
}

// leftOut is why memory is absent of which a file does not say more.
const leftOut = "was left out when the file was written"

// behindEnd is why memory is lost.
const behindEnd = "is behind the end of the file, which is cut short"

// takeImage sets the memory, and by what its map says of it which ranges the
// file has, has lost and was to be without.
func (f *File) takeImage(im *guest.Image) {
	f.memory = im
	for _, e := range im.Map.Extents() {
		x := guest.Missing{Addr: e.Addr, Size: e.Size}
		switch e.Kind {
		case extent.Lost:
			x.Reason = behindEnd
			f.Lost = append(f.Lost, x)
		case extent.Omitted:
			x.Reason = leftOut
			f.Absent = append(f.Absent, x)
		default:
			f.Ranges = append(f.Ranges, guest.Range{Addr: e.Addr, Size: e.Size})
		}
	}
	f.Ranges = join(f.Ranges)
}

// Open opens a dump, until Close. A file that is none is an [ErrNotDump]; the
// other errors say where in the file the damage is.
func Open(path string) (*File, error) {
	begin, size, err := beginning(path)
	if err != nil {
		return nil, err
	}
	for _, format := range formats {
		if bytes.HasPrefix(begin, []byte(format.magic)) {
			f, err := format.open(path)
			if err != nil {
				return nil, err
			}
			f.Path, f.Size = path, size
			f.readOwn()
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", path, ErrNotDump)
}

// beginning is the first bytes of a file, and its length.
func beginning(path string) ([]byte, int64, error) {
	// A pipe would wait, and cannot be read twice.
	if fi, err := os.Stat(path); err != nil {
		return nil, 0, err
	} else if !fi.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: %w", path, ErrNotFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	b := make([]byte, 16)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	return b[:n], fi.Size(), nil
}

// Close closes the file.
func (f *File) Close() error { return f.close() }

// note returns the first note of that name, an empty one if there is none.
func (f *File) note(name string) note {
	for _, n := range f.notes {
		if n.name == name {
			return n
		}
	}
	return note{}
}

// readNotes takes the file's notes.
func (f *File) readNotes(raw []byte) {
	var err error
	if f.notes, err = parseNotes(f.Order, raw); err != nil {
		f.Problems = append(f.Problems, fmt.Sprintf("the notes are damaged: %v", err))
	}
}
