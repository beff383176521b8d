package vmcorefile

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// class is where the fields of an ELF class are that a dump needs
// (System V gABI, chapter 4).
type class struct {
	elf  elf.Class
	word int64 // bytes of an address
	// Offsets in the ELF header, and its size.
	phoff, shoff, phentsize, phnum, size int64
	// Offsets in a program header, and its size.
	off, vaddr, paddr, filesz, memsz, phsize int64
	// sh_info in a section header.
	shinfo int64
}

var classes = map[byte]class{
	1: {elf.ELFCLASS32, 4, 28, 32, 42, 44, 52, 4, 8, 12, 16, 20, 32, 28},
	2: {elf.ELFCLASS64, 8, 32, 40, 54, 56, 64, 8, 16, 24, 32, 40, 56, 44},
}

const (
	// manyProgs in e_phnum says that the number is in sh_info of section 0.
	manyProgs = 0xffff
	// maxProgs bounds what a hostile sparse file makes us take. It is 64 times
	// what e_phnum can hold.
	maxProgs = 1 << 22
)

// tables is where the program headers are.
type tables struct {
	class
	order binary.ByteOrder
	phoff int64
	phnum uint64
}

// at reads an address-sized field of b.
func (t *tables) at(b []byte, off int64) uint64 {
	if t.word == 4 {
		return uint64(t.order.Uint32(b[off:]))
	}
	return t.order.Uint64(b[off:])
}

// read reads the headers and the notes.
func (f *File) read() error {
	t, err := f.readHeader()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f.r, t.phoff, int64(t.phnum)*t.phsize), 1<<16)
	b := make([]byte, t.phsize)
	for i := range t.phnum {
		at := t.phoff + int64(i)*t.phsize
		if _, err := io.ReadFull(r, b); err != nil {
			return readError("program headers", at, err)
		}
		s := Segment{
			Type: elf.ProgType(t.order.Uint32(b)),
			Off:  t.at(b, t.off), Vaddr: t.at(b, t.vaddr), Paddr: t.at(b, t.paddr),
			Filesz: t.at(b, t.filesz), Memsz: t.at(b, t.memsz), at: at,
		}
		switch s.Type {
		case elf.PT_NOTE:
			if err := f.readNotes(s); err != nil {
				return err
			}
		case elf.PT_LOAD:
			f.Loads = append(f.Loads, s)
		}
	}
	return nil
}

func (f *File) readHeader() (*tables, error) {
	b := make([]byte, 64)
	n, err := f.r.ReadAt(b, 0)
	if n < len(b) && err != nil && err != io.EOF {
		return nil, readError("ELF header", int64(n), err)
	}
	if n < 52 || string(b[:4]) != elf.ELFMAG {
		return nil, fmt.Errorf("%w: it begins with %q", ErrFormat, b[:min(n, 4)])
	}
	c, ok := classes[b[elf.EI_CLASS]]
	if !ok {
		return nil, &FormatError{int64(elf.EI_CLASS), fmt.Sprintf("ELF class %d is neither 1 (32 bits) nor 2 (64 bits)", b[elf.EI_CLASS])}
	}
	t := &tables{class: c}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		t.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		t.order = binary.BigEndian
	default:
		return nil, &FormatError{int64(elf.EI_DATA), fmt.Sprintf("byte order %d is neither 1 (little) nor 2 (big)", b[elf.EI_DATA])}
	}
	if int64(n) < c.size {
		return nil, readError("ELF header", int64(n), io.EOF)
	}
	if typ := elf.Type(t.order.Uint16(b[16:])); typ != elf.ET_CORE {
		return nil, fmt.Errorf("%w: it is an ELF file of type %v, not a core", ErrFormat, typ)
	}
	f.Class, f.Order, f.Machine = c.elf, t.order, elf.Machine(t.order.Uint16(b[18:]))
	phoff := t.at(b, c.phoff)
	t.phnum = uint64(t.order.Uint16(b[c.phnum:]))
	if phoff > uint64(f.Size) {
		return nil, &FormatError{c.phoff, fmt.Sprintf("the program headers are to be at %#x: the file has %d bytes", phoff, f.Size)}
	}
	t.phoff = int64(phoff)
	if size := int64(t.order.Uint16(b[c.phentsize:])); size != c.phsize {
		return nil, &FormatError{c.phentsize, fmt.Sprintf("program headers of %d bytes, where %v has %d", size, c.elf, c.phsize)}
	}
	if t.phnum == manyProgs {
		if err := f.readMany(t, t.at(b, c.shoff)); err != nil {
			return nil, err
		}
	}
	if !t.fits(t.phnum, f.Size) {
		return nil, &FormatError{c.phnum, fmt.Sprintf("%d program headers at %#x do not fit a file of %d bytes", t.phnum, t.phoff, f.Size)}
	}
	return t, nil
}

func (t *tables) fits(n uint64, size int64) bool {
	return n <= maxProgs && int64(n)*t.phsize <= size-t.phoff
}

// readMany reads the number of program headers from section 0. QEMU writes
// that in its host's byte order, whatever the file's: the one that is possible
// is taken.
func (f *File) readMany(t *tables, shoff uint64) error {
	if shoff == 0 { // as many as there are said to be
		return nil
	}
	at := int64(shoff) + t.shinfo
	b := make([]byte, 4)
	if shoff > uint64(f.Size) {
		return &FormatError{t.shoff, fmt.Sprintf("section 0 is to be at %#x: the file has %d bytes", shoff, f.Size)}
	}
	if n, err := f.r.ReadAt(b, at); n < len(b) {
		return readError("section header 0", at, err)
	}
	for _, order := range []binary.ByteOrder{t.order, binary.LittleEndian, binary.BigEndian} {
		if n := uint64(order.Uint32(b)); n >= manyProgs && t.fits(n, f.Size) {
			t.phnum = n
			return nil
		}
	}
	return &FormatError{at, fmt.Sprintf("%d program headers do not fit a file of %d bytes", t.order.Uint32(b), f.Size)}
}
