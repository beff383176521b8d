// Package limefile reads dumps in the form of LiME, version 1, whoever wrote
// them: LiME or package lime, of which it shares no code, so that it can be its
// judge.
//
// It trusts nothing in a file: what it allocates is bounded by the headers that
// the file really holds.
package limefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Magic is what a file begins with.
const Magic = "EMiL"

// ErrFormat means that a file is none of LiME's.
var ErrFormat = errors.New("not a dump of LiME")

// FormatError says what is wrong with a file.
type FormatError struct {
	Off int64 // in the file
	Msg string
}

func (e *FormatError) Error() string { return fmt.Sprintf("offset %#x: %s", e.Off, e.Msg) }

// File is an open dump.
type File struct {
	// Image is the guest's memory. Its Map has Data for what the file holds and
	// Lost for what lies behind its end.
	guest.Image
	Size int64 // of the file, bytes

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
	f.Files = []addr.Source{file}
	return f, nil
}

func open(file *os.File) (*File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return New(file, info.Size())
}

// New reads the headers in r, which has size bytes and stays the caller's; only
// a file of [Open] has Files. The error is [ErrFormat], a [*FormatError] or
// r's own.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{Image: guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}, Size: size}
	for at := int64(0); at < size || at == 0; {
		n, err := f.readRange(r, at)
		if err != nil {
			return nil, err
		}
		at += n
	}
	return f, nil
}

// headerSize is that of the header of a range, bytes: magic and version, first
// and last address, and 8 bytes that are reserved.
const headerSize = 32

// readRange takes in the range whose header is at an offset, and returns how
// many bytes both take.
func (f *File) readRange(r io.ReaderAt, at int64) (int64, error) {
	b := make([]byte, headerSize)
	if n, err := r.ReadAt(b, at); n < len(b) {
		if at == 0 && (err == nil || err == io.EOF) {
			return 0, ErrFormat
		}
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("reading the header of a range at offset %#x: %w", at, err)
	}
	version := binary.LittleEndian.Uint32(b[4:])
	first, last := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	switch {
	case string(b[:4]) != Magic && at == 0:
		return 0, ErrFormat
	case string(b[:4]) != Magic:
		return 0, &FormatError{at, fmt.Sprintf("a range begins with %q, not with %q", b[:4], Magic)}
	case version != 1:
		return 0, &FormatError{at + 4, fmt.Sprintf("a range is of version %d: only 1 is known", version)}
	case last < first || last >= math.MaxInt64:
		return 0, &FormatError{at + 8, fmt.Sprintf("a range from %#x to %#x: no guest has that", first, last)}
	}
	if n := len(f.Ranges); n > 0 && first < uint64(f.Ranges[n-1].End()) {
		return 0, &FormatError{at + 8, fmt.Sprintf("a range begins at %#x, before the end of the last one, %v", first, f.Ranges[n-1].End())}
	}
	n := last - first + 1
	data := at + headerSize
	if data >= addr.MaxFileOff || n > uint64(addr.MaxFileOff-data) {
		return 0, &FormatError{at + 8, fmt.Sprintf("a range of %#x bytes: no file has that", n)}
	}
	return headerSize + int64(n), f.add(addr.GPA(first), n, data)
}

// add takes in a range of n bytes at an offset of the file.
func (f *File) add(a addr.GPA, n uint64, off int64) error {
	f.Ranges = append(f.Ranges, guest.Range{Addr: a, Size: n})
	held := min(n, uint64(max(0, f.Size-off)))
	if held > 0 {
		if err := f.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: a, Size: held, Off: addr.InFile(0, off)}); err != nil {
			return fmt.Errorf("guest memory: %w", err)
		}
	}
	if held < n {
		if err := f.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: a + addr.GPA(held), Size: n - held, Kind: extent.Lost}); err != nil {
			return fmt.Errorf("guest memory: %w", err)
		}
	}
	return nil
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
