package core

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// header is the part of an ELF header that a core needs.
//
//	            ELF64         ELF32
//	e_type      16  2         16  2
//	e_machine   18  2         18  2
//	e_phoff     32  8         28  4
//	e_shoff     40  8         32  4
//	e_phentsize 54  2         42  2
//	e_phnum     56  2         44  2
//	size        64            52
type header struct {
	class   elf.Class
	order   binary.ByteOrder
	typ     elf.Type
	machine elf.Machine
	phoff   uint64
	phnum   uint64
}

// prog is a program header.
type prog struct {
	typ                       elf.ProgType
	flags                     elf.ProgFlag
	off, vaddr, filesz, memsz uint64
}

// pnXNum in e_phnum says that the count is in sh_info of section 0
// (elf(5), PN_XNUM).
const pnXNum = 0xffff

// maxProgs bounds the memory a hostile sparse file can make us take. Linux
// allows a process 65,530 mappings unless vm.max_map_count is raised; this is
// 64 times as many.
const maxProgs = 1 << 22

func (h header) wide() bool { return h.class == elf.ELFCLASS64 }

func (h header) wordSize() uint64 {
	if h.wide() {
		return 8
	}
	return 4
}

// word reads an address-sized field.
func (h header) word(b []byte) uint64 {
	if h.wide() {
		return h.order.Uint64(b)
	}
	return uint64(h.order.Uint32(b))
}

// progSize is the size of a program header.
func (h header) progSize() uint64 {
	if h.wide() {
		return 56
	}
	return 32
}

// readHeader reads the ELF header, and section 0 where the count of program
// headers needs it.
func readHeader(r io.ReaderAt, size int64) (header, error) {
	var h header
	var b [64]byte
	if size < 16 {
		return h, cutError("ELF header", 64, size)
	}
	if err := readFull(r, b[:16], 0); err != nil {
		return h, err
	}
	h.class = elf.Class(b[elf.EI_CLASS])
	length := 64
	switch h.class {
	case elf.ELFCLASS64:
	case elf.ELFCLASS32:
		length = 52
	default:
		return h, &FormatError{elf.EI_CLASS, fmt.Sprintf("ELF class %d is neither 32 nor 64 bits", b[elf.EI_CLASS])}
	}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		h.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		h.order = binary.BigEndian
	default:
		return h, &FormatError{elf.EI_DATA, fmt.Sprintf("ELF byte order %d is neither little nor big", b[elf.EI_DATA])}
	}
	if size < int64(length) {
		return h, cutError("ELF header", int64(length), size)
	}
	if err := readFull(r, b[:length], 0); err != nil {
		return h, err
	}
	h.typ = elf.Type(h.order.Uint16(b[16:]))
	h.machine = elf.Machine(h.order.Uint16(b[18:]))
	var shoff, phentsize uint64
	if h.wide() {
		h.phoff, shoff = h.word(b[32:]), h.word(b[40:])
		phentsize, h.phnum = uint64(h.order.Uint16(b[54:])), uint64(h.order.Uint16(b[56:]))
	} else {
		h.phoff, shoff = h.word(b[28:]), h.word(b[32:])
		phentsize, h.phnum = uint64(h.order.Uint16(b[42:])), uint64(h.order.Uint16(b[44:]))
	}
	if h.phnum == pnXNum && shoff != 0 {
		n, err := h.sectionInfo(r, size, shoff)
		if err != nil {
			return h, err
		}
		h.phnum = n
	}
	if h.phnum > 0 && phentsize != h.progSize() {
		return h, &FormatError{0, fmt.Sprintf("program headers of %d bytes instead of %d", phentsize, h.progSize())}
	}
	if h.typ != elf.ET_CORE {
		return h, h.notCore(r, size)
	}
	if h.phnum == 0 {
		return h, &FormatError{0, "it has no program headers, so neither threads nor memory"}
	}
	return h, nil
}

// sectionInfo reads sh_info of section 0: at 44 of 64 bytes, 28 of 40.
func (h header) sectionInfo(r io.ReaderAt, size int64, shoff uint64) (uint64, error) {
	b := make([]byte, 64)
	at := 44
	if !h.wide() {
		b, at = b[:40], 28
	}
	if shoff > uint64(size) || uint64(size)-shoff < uint64(len(b)) {
		return 0, cutError("section header, which counts its segments", int64(min(shoff, 1<<62))+int64(len(b)), size)
	}
	if err := readFull(r, b, int64(shoff)); err != nil {
		return 0, err
	}
	return uint64(h.order.Uint32(b[at:])), nil
}

// readProgs reads the program headers.
func (h header) readProgs(r io.ReaderAt, size int64) ([]prog, error) {
	if h.phnum > maxProgs {
		return nil, &FormatError{0, fmt.Sprintf("%d program headers are more than any process has mappings", h.phnum)}
	}
	total := h.phnum * h.progSize()
	if h.phoff > uint64(size) || uint64(size)-h.phoff < total {
		return nil, cutError("program headers", int64(min(h.phoff, 1<<62)+total), size)
	}
	b := make([]byte, total)
	if err := readFull(r, b, int64(h.phoff)); err != nil {
		return nil, err
	}
	progs := make([]prog, h.phnum)
	for i := range progs {
		progs[i] = h.prog(b[uint64(i)*h.progSize():])
	}
	return progs, nil
}

// prog decodes one program header.
//
//	       p_type p_flags p_offset p_vaddr p_paddr p_filesz p_memsz
//	ELF64  0      4       8        16      24      32       40
//	ELF32  0      24      4        8       12      16       20
func (h header) prog(b []byte) prog {
	p := prog{typ: elf.ProgType(h.order.Uint32(b))}
	if h.wide() {
		p.flags = elf.ProgFlag(h.order.Uint32(b[4:]))
		p.off, p.vaddr = h.word(b[8:]), h.word(b[16:])
		p.filesz, p.memsz = h.word(b[32:]), h.word(b[40:])
		return p
	}
	p.flags = elf.ProgFlag(h.order.Uint32(b[24:]))
	p.off, p.vaddr = h.word(b[4:]), h.word(b[8:])
	p.filesz, p.memsz = h.word(b[16:]), h.word(b[20:])
	return p
}

// notCore says what an ELF file is that is no core.
func (h header) notCore(r io.ReaderAt, size int64) error {
	what := fmt.Sprintf("an ELF file of type %v", h.typ)
	switch h.typ {
	case elf.ET_EXEC:
		what = "an executable"
	case elf.ET_REL:
		what = "a relocatable object"
	case elf.ET_DYN:
		what = "a shared object"
		progs, err := h.readProgs(r, size)
		for i := 0; err == nil && i < len(progs); i++ {
			if progs[i].typ == elf.PT_INTERP {
				what = "an executable"
			}
		}
	}
	if what == "an executable" {
		return notCore("is %s, not a core: name the core file here, and the executable with --exe", what)
	}
	return notCore("is %s, not a core: name the core file of a QEMU process", what)
}

// readFull reads all of b, which was checked to lie inside the file.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at offset %#x: %w", len(b), off, err)
}
