package objfile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// header is the part of an ELF header that leads to the program headers. debug/elf does not tell e_phoff, and needs section
// headers, which an image in memory lacks.
type header struct {
	order  binary.ByteOrder
	class  elf.Class
	phoff  uint64 // file offset of the program headers
	phsize uint64 // bytes of one
	phnum  uint64
}

// Layout of the ELF header and of the program header, gABI chapter 4 and 5: offsets in bytes.
const (
	ehdrSize32, ehdrSize64 = 52, 64
	phdrSize32, phdrSize64 = 32, 56
)

// readHeader reads the ELF header at offset 0.
func readHeader(r io.ReaderAt) (header, error) {
	var b [ehdrSize64]byte
	n, err := r.ReadAt(b[:], 0)
	if n < ehdrSize32 {
		return header{}, fmt.Errorf("ELF header: %d bytes of %d: %w", n, ehdrSize32, noEOF(err))
	}
	if string(b[:4]) != elf.ELFMAG {
		return header{}, fmt.Errorf("not an ELF image: it begins with % x", b[:4])
	}
	h := header{class: elf.Class(b[elf.EI_CLASS])}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		h.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		h.order = binary.BigEndian
	default:
		return header{}, fmt.Errorf("ELF header: unknown byte order %d", b[elf.EI_DATA])
	}
	switch {
	case h.class == elf.ELFCLASS32:
		h.phoff = uint64(h.order.Uint32(b[28:]))
		h.phsize = uint64(h.order.Uint16(b[42:]))
		h.phnum = uint64(h.order.Uint16(b[44:]))
	case h.class == elf.ELFCLASS64 && n == ehdrSize64:
		h.phoff = h.order.Uint64(b[32:])
		h.phsize = uint64(h.order.Uint16(b[54:]))
		h.phnum = uint64(h.order.Uint16(b[56:]))
	default:
		return header{}, fmt.Errorf("ELF header: class %d in %d bytes", b[elf.EI_CLASS], n)
	}
	return h, nil
}

// programs reads the program headers.
func (h header) programs(r io.ReaderAt) ([]elf.ProgHeader, error) {
	want := uint64(phdrSize64)
	if h.class == elf.ELFCLASS32 {
		want = phdrSize32
	}
	if h.phnum > 0 && h.phsize != want {
		return nil, fmt.Errorf("ELF header: program headers of %d bytes, expected %d", h.phsize, want)
	}
	b := make([]byte, h.phnum*h.phsize) // at most 65,535 × 56
	if err := readFull(r, b, h.phoff); err != nil {
		return nil, fmt.Errorf("%d program headers at %#x: %w", h.phnum, h.phoff, err)
	}
	progs := make([]elf.ProgHeader, h.phnum)
	for i := range progs {
		p := b[uint64(i)*h.phsize:]
		u32 := func(off int) uint64 { return uint64(h.order.Uint32(p[off:])) }
		u64 := func(off int) uint64 { return h.order.Uint64(p[off:]) }
		progs[i].Type = elf.ProgType(u32(0))
		if h.class == elf.ELFCLASS32 {
			progs[i].Off, progs[i].Vaddr, progs[i].Paddr = u32(4), u32(8), u32(12)
			progs[i].Filesz, progs[i].Memsz, progs[i].Flags, progs[i].Align = u32(16), u32(20), elf.ProgFlag(u32(24)), u32(28)
			continue
		}
		progs[i].Flags = elf.ProgFlag(u32(4))
		progs[i].Off, progs[i].Vaddr, progs[i].Paddr = u64(8), u64(16), u64(24)
		progs[i].Filesz, progs[i].Memsz, progs[i].Align = u64(32), u64(40), u64(48)
	}
	return progs, nil
}

// readFull reads all of p at off, or fails.
func readFull(r io.ReaderAt, p []byte, off uint64) error {
	if len(p) == 0 {
		return nil
	}
	if off > 1<<63-1-uint64(len(p)) {
		return fmt.Errorf("offset %#x is beyond any file", off)
	}
	if n, err := r.ReadAt(p, int64(off)); n < len(p) {
		return fmt.Errorf("%d of %d bytes at %#x: %w", n, len(p), off, noEOF(err))
	}
	return nil
}

// noEOF makes an end of file where there should be more an error that reads as one.
func noEOF(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
