// Package windmpfile reads the complete memory dumps of Windows, whoever wrote
// them: Windows itself, QEMU, elf2dmp or package windmp, of which it shares no
// code, so that it can be its judge. It reads those of x64 and of x86, in the
// two forms there are:
//
//	complete (1)   header, then the pages of the header's runs, one run behind
//	               the other
//	bitmap (5)     header, then a summary with a bit for each page of memory,
//	               then the pages whose bit is set
//
// Dumps of the kernel's memory alone (2, 6, 7) and small ones are refused. It
// trusts nothing in a file: what it allocates is bounded by what the file
// really holds.
package windmpfile

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrFormat means that a file is not a Windows crash dump.
var ErrFormat = errors.New("not a Windows crash dump")

// FormatError says what is wrong with a crash dump.
type FormatError struct {
	Off int64 // in the file
	Msg string
}

func (e *FormatError) Error() string { return fmt.Sprintf("offset %#x: %s", e.Off, e.Msg) }

// Types of dumps.
const (
	Complete = 1
	Bitmap   = 5
)

// PageSize is the unit of memory in the file, bytes.
const PageSize = 0x1000

// Header is what the header says.
type Header struct {
	Wide               bool // x64
	Type               uint32
	DirectoryTableBase uint64 // physical address of the kernel's page tables
	KDBG               uint64 // KdDebuggerDataBlock, a virtual address
	Bugcheck           [5]uint64
	Processors         uint32
	PAE                bool // of x86: the page tables are those of PAE
	// Listed are the runs of physical memory that Windows had, nil if the list
	// cannot be.
	Listed []Run
}

// Run is a piece of guest memory, and where the file has it.
type Run struct {
	Addr uint64
	Size uint64 // bytes
	Off  int64  // of Header.Listed: where a complete dump has it
}

// File is an open dump.
type File struct {
	Header
	Raw  []byte // the header as it is, 8192 or 4096 bytes
	Runs []Run  // the memory in the file, in order
	Size int64  // of the file, bytes

	r   io.ReaderAt
	own *os.File
}

// Open opens the file of that name, until Close.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		var f *File
		if f, err = New(file, info.Size()); err == nil {
			f.own = file
			return f, nil
		}
		err = fmt.Errorf("%s: %w", path, err)
	}
	file.Close()
	return nil, err
}

// New reads from r, which has size bytes and stays the caller's. The error is
// [ErrFormat], a [*FormatError] or r's own.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, Size: size}
	if err := f.readHeader(); err != nil {
		return nil, err
	}
	switch f.Type {
	case Complete:
		if f.Listed == nil {
			return nil, &FormatError{f.layout().runs, "the header's list of physical memory cannot be"}
		}
		f.Runs = f.Listed
		return f, nil
	case Bitmap:
		return f, f.readBitmap()
	}
	return nil, &FormatError{f.layout().kind, fmt.Sprintf("a dump of type %d (%s) has not all of the guest's memory: only complete ones (1), with a bitmap (5) or without, can be read",
		f.Type, cmp.Or(kinds[f.Type], "unknown"))}
}

// kinds are the names of types that are refused.
var kinds = map[uint32]string{2: "of the kernel", 3: "a header alone", 4: "a small one", 6: "of the kernel, with a bitmap", 7: "an automatic one"}

// Close closes a file that [Open] opened.
func (f *File) Close() error {
	if f.own == nil {
		return nil
	}
	err := f.own.Close()
	f.own = nil
	return err
}

// number is a little-endian number of four or eight bytes.
func number(b []byte) uint64 {
	if len(b) == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func readError(what string, off int64, err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the %s at offset %#x: %w", what, off, err)
}
