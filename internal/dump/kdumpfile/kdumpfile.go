// Package kdumpfile reads kdump-compressed files, whoever wrote them: QEMU,
// makedumpfile or package kdump, of which it shares no code, so that it can be
// its judge. It reads version 6 of the header, both classes, both byte orders,
// the raw and the flattened form, and pages compressed with zlib, LZO, Snappy
// or Zstandard.
//
// A part of a file that makedumpfile has split is read like any other: it has
// the bitmaps of the whole and the pages from Start to End. It trusts nothing
// in a file: what it allocates is bounded by what the file really holds.
package kdumpfile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrFormat means that a file is not a kdump-compressed one.
var ErrFormat = errors.New("not a kdump-compressed file")

// ErrAbsent means that the file does not have a page.
var ErrAbsent = errors.New("not in the dump")

// FormatError says what is wrong with a kdump-compressed file.
type FormatError struct {
	Off int64 // in the file, unflattened
	Msg string
}

func (e *FormatError) Error() string { return fmt.Sprintf("offset %#x: %s", e.Off, e.Msg) }

// Header is what the headers say.
type Header struct {
	Class      elf.Class
	Order      binary.ByteOrder
	Flattened  bool
	Compressed uint32    // flags of the main header
	BlockSize  int64     // of a page, bytes
	UTS        [6]string // system, node, release, version, machine, domain
	CPUs       int
	PhysBase   uint64
	DumpLevel  int
	MaxPage    int64 // behind the last page
	// Incomplete tells that the writer ran out of space and said so.
	Incomplete bool
	// Cut tells that the file is flattened and ends without a last record.
	Cut bool
	// Split tells that it is a part of a file, and has of its pages those from
	// Start on before End.
	Split      bool
	Start, End int64
}

// File is an open file. Its methods may be called concurrently.
type File struct {
	Header
	r    io.ReaderAt
	size int64     // of r, unflattened
	held int64     // of the file, as it is
	own  io.Closer // nil for a borrowed file

	notes, vmcoreinfo span

	exist  bitmap
	stored bitmap // or should be
	lost   bitmap // of these
	descs  int64  // offset of the page descriptors

	zero     atomic.Pointer[Page] // the page that stands for all of zeros, once it was met
	decoders sync.Pool            // of *decoder
}

// span is a piece of the file, bytes.
type span struct{ off, size int64 }

// Open opens the file of that name, until Close.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	k, err := New(f, fi.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k.own = f
	return k, nil
}

// New reads from r, which has size bytes and stays the caller's. The error is
// [ErrFormat], a [*FormatError] or r's own.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, held: size}
	flat, err := newFlat(r, size)
	if err != nil {
		return nil, err
	}
	if flat != nil {
		f.r, f.size, f.Flattened, f.Cut = flat, flat.size, true, flat.cut
	}
	if err := f.readHeaders(); err != nil {
		return nil, err
	}
	if err := f.findLost(); err != nil {
		return nil, err
	}
	f.decoders.New = func() any { return newDecoder(f) }
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

// Notes are the ELF notes, one behind the other.
func (f *File) Notes() ([]byte, error) { return f.bytes(f.notes.off, f.notes.size) }

// VMCoreInfo is the text of the kernel's VMCOREINFO, empty if there is none.
func (f *File) VMCoreInfo() ([]byte, error) { return f.bytes(f.vmcoreinfo.off, f.vmcoreinfo.size) }

// Pages is how many pages the file has.
func (f *File) Pages() int64 { return f.stored.count - f.lost.count }

// Range is a piece of guest memory, in bytes.
type Range struct{ Addr, End uint64 }

// Ranges is the guest memory that the file has, in order, as long as can be.
func (f *File) Ranges() []Range {
	if f.lost.count == 0 {
		return f.stored.ranges(f.BlockSize)
	}
	has := bitmap{bits: slices.Clone(f.stored.bits)}
	for i, b := range f.lost.bits {
		has.bits[i] &^= b
	}
	return has.ranges(f.BlockSize)
}

// Stored is Ranges and Lost, in order.
func (f *File) Stored() []Range { return f.stored.ranges(f.BlockSize) }

// Exist is the guest memory that the guest had, in the file or not.
func (f *File) Exist() []Range { return f.exist.ranges(f.BlockSize) }

// bytes reads n bytes at off, in pieces: a file that claims more than it has
// costs no memory.
func (f *File) bytes(off, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if off < 0 || n < 0 || off > f.size-n || n > f.held+maxBlock { // a flattened file may lack some zeros
		return nil, &FormatError{off, fmt.Sprintf("%d bytes are to be here, the file has %d in all", n, min(f.size, f.held))}
	}
	if !f.has(off, n) {
		return nil, f.cutBefore(off, n)
	}
	var b []byte
	for int64(len(b)) < n {
		have := len(b)
		b = append(b, make([]byte, min(n-int64(have), 1<<20))...)
		if m, err := f.r.ReadAt(b[have:], off+int64(have)); m < len(b)-have {
			return nil, readError(off+int64(have+m), err)
		}
	}
	return b, nil
}

func readError(off int64, err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("offset %#x: %w", off, err)
}
