// Package vmcore reads ELF dumps of a guest's memory, as the judge of the tests: it shares no code with the program under
// test. It says which guest-physical ranges a dump has and in what two dumps differ.
//
// It is not a library for dumps: no PN_XNUM, no compressed formats.
package vmcore

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Load is one PT_LOAD of a dump.
type Load struct {
	Paddr, Vaddr  uint64
	Filesz, Memsz uint64
	Offset, Align uint64
	Flags         elf.ProgFlag
}

// Range is a half-open range of guest-physical addresses.
type Range struct{ Addr, End uint64 }

func (r Range) String() string { return fmt.Sprintf("%#x-%#x", r.Addr, r.End) }

// Note is one ELF note.
type Note struct {
	Name string
	Type uint32
	Desc []byte
	Raw  []byte // all of it, with its header and what fills it up
}

// File is an open dump.
type File struct {
	Path     string
	Header   elf.FileHeader
	Phoff    uint64 // of the program headers
	Loads    []Load // by guest-physical address, then as in the file; where two overlap, they share their data
	Notes    []Note // as they come in the file
	NotesEnd uint64 // the offset behind them

	file *os.File
	size int64
	data []Range // what of the file is not a hole, by offset
}

// Open opens an ELF dump.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, file: file}
	if err := f.read(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) read() error {
	e, err := elf.NewFile(readable{f.file})
	if err != nil {
		return err
	}
	f.Header = e.FileHeader
	if f.Phoff, err = phoff(f.file, e); err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	for _, p := range e.Progs {
		switch p.Type {
		case elf.PT_LOAD:
			if p.Filesz > 0 && p.Off+p.Filesz > uint64(f.size) {
				return fmt.Errorf("the PT_LOAD of %#x ends at offset %#x, the file at %#x", p.Paddr, p.Off+p.Filesz, f.size)
			}
			f.Loads = append(f.Loads, Load{p.Paddr, p.Vaddr, p.Filesz, p.Memsz, p.Off, p.Align, p.Flags})
		case elf.PT_NOTE:
			raw, err := io.ReadAll(p.Open())
			if err != nil {
				return fmt.Errorf("reading the notes: %w", err)
			}
			notes, err := parseNotes(raw, e.ByteOrder)
			if err != nil {
				return err
			}
			f.Notes = append(f.Notes, notes...)
			f.NotesEnd = p.Off + p.Filesz
		}
	}
	slices.SortStableFunc(f.Loads, func(a, b Load) int { return cmp.Compare(a.Paddr, b.Paddr) })
	var before Load // that ends last
	for _, l := range f.Loads {
		if l.Filesz == 0 {
			continue
		}
		if before.Paddr+before.Filesz > l.Paddr && before.Offset-before.Paddr != l.Offset-l.Paddr {
			return fmt.Errorf("the PT_LOADs of %#x and %#x overlap and have not the same data", before.Paddr, l.Paddr)
		}
		if l.Paddr+l.Filesz > before.Paddr+before.Filesz {
			before = l
		}
	}
	f.data, err = dataOf(f.file, f.size)
	return err
}

// readable is a file as debug/elf takes it. Its ELF header speaks of no section headers: QEMU writes those of big-endian guests in
// the byte order of the host, and they are of no use to us. And where QEMU gives memory that is not in the file the offset -1, it
// is 0.
type readable struct{ io.ReaderAt }

func (w readable) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	var header [64]byte
	if _, err := w.ReaderAt.ReadAt(header[:], 0); err != nil {
		return 0, err
	}
	gone := []Range{{40, 48}, {60, 64}} // e_shoff; e_shnum and e_shstrndx
	if elf.Class(header[elf.EI_CLASS]) == elf.ELFCLASS32 {
		gone = []Range{{32, 36}, {48, 52}}
	} else {
		gone = append(gone, nowhere(p[:n], off, header)...)
	}
	for _, r := range gone {
		for at := int64(r.Addr); at < int64(r.End); at++ {
			if at >= off && at < off+int64(n) {
				p[at-off] = 0
			}
		}
	}
	return n, err
}

// nowhere are the p_offsets in p, which is read at off of an ELF64 file, that are -1.
func nowhere(p []byte, off int64, header [64]byte) (found []Range) {
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(header[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	const size = 56 // of a program header
	at := int64(order.Uint64(header[32:])) + 8
	for range order.Uint16(header[56:]) {
		if at >= off && at+8 <= off+int64(len(p)) && order.Uint64(p[at-off:]) == math.MaxUint64 {
			found = append(found, Range{uint64(at), uint64(at) + 8})
		}
		at += size
	}
	return found
}

// phoff reads e_phoff, which debug/elf keeps to itself.
func phoff(file io.ReaderAt, e *elf.File) (uint64, error) {
	var raw [8]byte
	if e.Class == elf.ELFCLASS32 {
		_, err := file.ReadAt(raw[:4], 28)
		return uint64(e.ByteOrder.Uint32(raw[:4])), err
	}
	_, err := file.ReadAt(raw[:], 32)
	return e.ByteOrder.Uint64(raw[:]), err
}

// parseNotes splits a PT_NOTE: three words, then name and desc, each padded to four bytes.
func parseNotes(raw []byte, order binary.ByteOrder) ([]Note, error) {
	var notes []Note
	for len(raw) > 0 {
		if len(raw) < 12 {
			return nil, fmt.Errorf("%d bytes are left over after the last note", len(raw))
		}
		namesz, descsz := int(order.Uint32(raw)), int(order.Uint32(raw[4:]))
		kind := order.Uint32(raw[8:])
		desc := 12 + (namesz+3)&^3
		end := desc + (descsz+3)&^3
		if namesz < 1 || end < desc || end > len(raw) {
			return nil, fmt.Errorf("note %d: name of %d and desc of %d bytes do not fit", len(notes), namesz, descsz)
		}
		notes = append(notes, Note{Name: string(raw[12 : 12+namesz-1]), Type: kind, Desc: raw[desc : desc+descsz], Raw: raw[:end]})
		raw = raw[end:]
	}
	return notes, nil
}

// Note returns the first note of that name, nil if there is none.
func (f *File) Note(name string) *Note {
	for i := range f.Notes {
		if f.Notes[i].Name == name {
			return &f.Notes[i]
		}
	}
	return nil
}

// Ranges returns the guest memory that the dump has, adjacent PT_LOADs joined.
func (f *File) Ranges() []Range {
	var ranges []Range
	for _, l := range f.Loads {
		if n := len(ranges); n > 0 && ranges[n-1].End >= l.Paddr {
			ranges[n-1].End = max(ranges[n-1].End, l.Paddr+l.Filesz)
		} else if l.Filesz > 0 {
			ranges = append(ranges, Range{l.Paddr, l.Paddr + l.Filesz})
		}
	}
	return ranges
}

// Has says whether the dump has the byte at a guest-physical address.
func (f *File) Has(addr uint64) bool {
	return slices.ContainsFunc(f.Ranges(), func(r Range) bool { return r.Addr <= addr && addr < r.End })
}

// errHole says that what was asked for is all hole.
var errHole = errors.New("hole")

// ReadGuest reads len(p) bytes at a guest-physical address. All of it must lie in one range of Ranges.
func (f *File) ReadGuest(p []byte, addr uint64) error {
	err := f.readGuest(p, addr)
	if err == errHole {
		clear(p)
		return nil
	}
	return err
}

// readGuest reads len(p) bytes at a guest-physical address, or returns errHole. All of it must lie in one range of Ranges.
func (f *File) readGuest(p []byte, addr uint64) error {
	hole := true
	for _, l := range f.Loads {
		from, to := max(addr, l.Paddr), min(addr+uint64(len(p)), l.Paddr+l.Filesz)
		if from >= to {
			continue
		}
		part := p[from-addr : to-addr]
		offset := l.Offset + from - l.Paddr
		if !f.hasData(offset, offset+uint64(len(part))) {
			clear(part)
			continue
		}
		hole = false
		if _, err := f.file.ReadAt(part, int64(offset)); err != nil {
			return fmt.Errorf("%s: reading guest memory at %#x: %w", f.Path, from, err)
		}
	}
	if hole {
		return errHole
	}
	return nil
}

// hasData says whether some of the file between two offsets is not a hole.
func (f *File) hasData(from, to uint64) bool {
	i, _ := slices.BinarySearchFunc(f.data, from, func(r Range, from uint64) int {
		if r.End <= from {
			return -1
		}
		return 1
	})
	return i < len(f.data) && f.data[i].Addr < to
}
