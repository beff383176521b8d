package vmcore

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/mapping"
)

// load is a range of memory and its place in the file.
type load struct {
	guest.Range
	offset int64
}

// layout is where everything is in the file.
type layout struct {
	arch    arch.Guest
	class   elf.Class // the arch's, or ELFCLASS64 where that does not fit
	phnum   int       // program headers, PT_NOTE included
	section int64     // offset of section header 0, 0 for none
	notes   int64     // offset of the notes
	noteLen int64
	loads   []load
	size    int64
	// mappings are where loads are in virtual memory, in the order of the
	// program headers; nil: one header a load.
	mappings []mapping.Mapping
}

// Sizes of the headers in bytes, by class.
var (
	ehsize = map[elf.Class]int64{elf.ELFCLASS32: 52, elf.ELFCLASS64: 64}
	phsize = map[elf.Class]int64{elf.ELFCLASS32: 32, elf.ELFCLASS64: 56}
	shsize = map[elf.Class]int64{elf.ELFCLASS32: 40, elf.ELFCLASS64: 64}
)

// pnXNum in e_phnum says that the number of program headers is in section
// header 0 (ELF gABI, PN_XNUM).
const pnXNum = 0xffff

func newLayout(g arch.Guest, ranges []guest.Range, mappings []mapping.Mapping, noteLen, align int64) (*layout, error) {
	if align == 0 {
		align = dump.DefaultAlign
	}
	if align < 0 || align&(align-1) != 0 {
		return nil, fmt.Errorf("alignment of %d bytes: must be a power of two", align)
	}
	l := &layout{arch: g, class: g.Class, noteLen: noteLen, mappings: mappings, phnum: 1 + len(ranges)}
	if mappings != nil {
		l.phnum = 1 + len(mappings)
	}
	if err := l.place(ranges, align); err != nil {
		return nil, err
	}
	if l.class == elf.ELFCLASS32 && !l.fits32() {
		l.class = elf.ELFCLASS64
		if err := l.place(ranges, align); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// place gives everything its offset, for the class that is set.
func (l *layout) place(ranges []guest.Range, align int64) error {
	at := ehsize[l.class] + int64(l.phnum)*phsize[l.class]
	l.section = 0
	if l.phnum >= pnXNum {
		l.section = at
		at += shsize[l.class]
	}
	l.notes = at
	at += l.noteLen
	l.loads = l.loads[:0]
	for _, r := range ranges {
		if r.Size > uint64(math.MaxInt64-align-at) {
			return fmt.Errorf("guest memory of %#x bytes at %#x: a file cannot be that large", r.Size, uint64(r.Addr))
		}
		at = (at + align - 1) &^ (align - 1)
		l.loads = append(l.loads, load{r, at})
		at += int64(r.Size)
	}
	l.size = at
	return nil
}

// fits32 reports whether all addresses, offsets and sizes are 32 bits wide.
func (l *layout) fits32() bool {
	for _, x := range l.loads {
		if uint64(x.Addr) > math.MaxUint32 || x.offset > math.MaxUint32 || x.Size > math.MaxUint32 || uint64(x.End()) > 1<<32 {
			return false
		}
	}
	return true
}

// encode is the file up to the end of the notes.
func (l *layout) encode(notes []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(l.notes) + len(notes))
	b.Write(l.header())
	b.Write(l.prog(elf.Prog64{
		Type: uint32(elf.PT_NOTE), Off: uint64(l.notes), Filesz: uint64(l.noteLen), Memsz: uint64(l.noteLen),
	}))
	for _, s := range l.segments() {
		b.Write(l.prog(elf.Prog64{
			Type: uint32(elf.PT_LOAD), Off: s.offset,
			Vaddr: s.virt, Paddr: s.phys, Filesz: s.fileSize, Memsz: s.size,
		}))
	}
	if l.section != 0 {
		b.Write(l.section0())
	}
	if int64(b.Len()) != l.notes {
		return nil, fmt.Errorf("ELF headers take %d bytes, planned were %d: please report this", b.Len(), l.notes)
	}
	b.Write(notes)
	return b.Bytes(), nil
}

func (l *layout) header() []byte {
	h := elf.Header64{
		Type: uint16(elf.ET_CORE), Machine: uint16(l.arch.Machine), Version: uint32(elf.EV_CURRENT),
		Phoff: uint64(ehsize[l.class]), Ehsize: uint16(ehsize[l.class]),
		Phentsize: uint16(phsize[l.class]), Phnum: uint16(min(l.phnum, pnXNum)),
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS] = byte(l.class)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	if l.arch.Order == binary.BigEndian {
		h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	if l.section != 0 {
		h.Shoff, h.Shentsize, h.Shnum = uint64(l.section), uint16(shsize[l.class]), 1
	}
	if l.class == elf.ELFCLASS64 {
		return l.pack(h)
	}
	return l.pack(elf.Header32{
		Ident: h.Ident, Type: h.Type, Machine: h.Machine, Version: h.Version,
		Phoff: uint32(h.Phoff), Shoff: uint32(h.Shoff), Ehsize: h.Ehsize,
		Phentsize: h.Phentsize, Phnum: h.Phnum, Shentsize: h.Shentsize, Shnum: h.Shnum,
	})
}

// prog is a program header. Flags and Align stay 0, as in QEMU's dumps.
func (l *layout) prog(p elf.Prog64) []byte {
	if l.class == elf.ELFCLASS64 {
		return l.pack(p)
	}
	return l.pack(elf.Prog32{
		Type: p.Type, Off: uint32(p.Off), Vaddr: uint32(p.Vaddr), Paddr: uint32(p.Paddr),
		Filesz: uint32(p.Filesz), Memsz: uint32(p.Memsz),
	})
}

// section0 holds the number of program headers in sh_info.
func (l *layout) section0() []byte {
	if l.class == elf.ELFCLASS64 {
		return l.pack(elf.Section64{Info: uint32(l.phnum)})
	}
	return l.pack(elf.Section32{Info: uint32(l.phnum)})
}

// pack encodes a struct of package debug/elf in the guest's byte order.
func (l *layout) pack(header any) []byte {
	b, err := binary.Append(nil, l.arch.Order, header)
	if err != nil {
		panic(err) // all of these are of fixed size
	}
	return b
}
