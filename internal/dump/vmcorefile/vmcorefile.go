// Package vmcorefile reads ELF dumps of a guest's memory, whoever wrote them:
// QEMU, its Python script, makedumpfile, VirtualBox or package vmcore, of which
// it shares no code, so that it can be its judge. It reads both classes, both
// byte orders, any place of the program headers, more than 65,534 of them,
// PT_LOADs that overlap as in dumps with page tables, and such as are shorter
// in the file than in memory.
//
// It is not for the core of a process, which package inferior/core reads: there
// p_vaddr says where memory was, here p_paddr does. It trusts nothing in a
// file: what it allocates is bounded by what the file really holds.
package vmcorefile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrFormat means that a file is not an ELF core file.
var ErrFormat = errors.New("not an ELF dump")

// FormatError says what is wrong with an ELF dump.
type FormatError struct {
	Off int64 // in the file
	Msg string
}

func (e *FormatError) Error() string { return fmt.Sprintf("offset %#x: %s", e.Off, e.Msg) }

// Header is what the ELF header says.
type Header struct {
	Class   elf.Class
	Order   binary.ByteOrder
	Machine elf.Machine
}

// Segment is a program header.
type Segment struct {
	Type         elf.ProgType
	Off          uint64 // in the file
	Vaddr, Paddr uint64
	Filesz       uint64 // bytes in the file
	Memsz        uint64 // bytes in memory; more than Filesz: the rest was left out
	at           int64  // offset of the program header
}

// File is an open dump.
type File struct {
	Header
	Loads []Segment // the PT_LOADs, in the order of the file
	Notes []byte    // the contents of all PT_NOTEs, one behind the other
	Size  int64     // of the file, bytes

	r   io.ReaderAt
	own *os.File
}

// Open opens the file of that name, until Close.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := open(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.own = file
	return f, nil
}

func open(file *os.File) (*File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return New(file, info.Size())
}

// New reads from r, which has size bytes and stays the caller's. The error is
// [ErrFormat], a [*FormatError] or r's own.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, Size: size}
	if err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Close closes a file that [Open] opened.
func (f *File) Close() error {
	if f.own == nil {
		return nil
	}
	err := f.own.Close()
	f.own = nil
	return err
}

// maxNotes is more than any number of CPUs leaves, bytes.
const maxNotes = 64 << 20

// readNotes reads the content of a PT_NOTE.
func (f *File) readNotes(s Segment) error {
	switch {
	case s.Filesz == 0:
		return nil
	case s.Off > uint64(f.Size) || s.Filesz > uint64(f.Size)-s.Off:
		return &FormatError{s.at, fmt.Sprintf("the notes are to be %d bytes at %#x: the file has %d in all", s.Filesz, s.Off, f.Size)}
	case s.Filesz > maxNotes-uint64(len(f.Notes)):
		return &FormatError{s.at, fmt.Sprintf("notes of %d bytes are more than any guest has", s.Filesz)}
	}
	b := make([]byte, s.Filesz)
	if n, err := f.r.ReadAt(b, int64(s.Off)); n < len(b) {
		return readError("notes", int64(s.Off)+int64(n), err)
	}
	f.Notes = append(f.Notes, b...)
	return nil
}

func readError(what string, off int64, err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the %s at offset %#x: %w", what, off, err)
}
