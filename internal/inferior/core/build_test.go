package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// builder writes ELF cores for the tests:
//
//	ELF header, program headers, notes, segments one behind the other,
//	section header 0 if there are more than 65,534 segments
type builder struct {
	class   elf.Class
	order   binary.ByteOrder
	machine elf.Machine
	typ     elf.Type // 0: ET_CORE
	notes   []byte
	loads   []load
}

// load is a PT_LOAD whose bytes are data, padded with memory the file lacks
// to memsz.
type load struct {
	vaddr uint64
	data  []byte
	memsz uint64
	flags elf.ProgFlag
}

func newBuilder(class elf.Class, order binary.ByteOrder) *builder {
	return &builder{class: class, order: order, machine: elf.EM_X86_64}
}

// word appends address-sized fields.
func (b *builder) word(out []byte, v ...uint64) []byte {
	for _, v := range v {
		if b.class == elf.ELFCLASS64 {
			out = appendOrder(b.order).AppendUint64(out, v)
		} else {
			out = appendOrder(b.order).AppendUint32(out, uint32(v))
		}
	}
	return out
}

func appendOrder(o binary.ByteOrder) binary.AppendByteOrder { return o.(binary.AppendByteOrder) }

func (b *builder) note(name string, typ uint32, desc []byte) {
	o := appendOrder(b.order)
	b.notes = o.AppendUint32(b.notes, uint32(len(name)+1))
	b.notes = o.AppendUint32(b.notes, uint32(len(desc)))
	b.notes = o.AppendUint32(b.notes, typ)
	b.notes = pad(append(append(b.notes, name...), 0), 4)
	b.notes = pad(append(b.notes, desc...), 4)
}

func (b *builder) thread(tid, signal int) {
	desc := make([]byte, 336)
	b.order.PutUint16(desc[12:], uint16(signal))
	at := 32
	if b.class == elf.ELFCLASS32 {
		at = 24
	}
	b.order.PutUint32(desc[at:], uint32(tid))
	b.note("CORE", ntPRStatus, desc)
}

func (b *builder) auxv(pairs ...uint64) {
	b.note("CORE", ntAuxv, b.word(nil, append(pairs, 0, 0)...))
}

// file is a mapping for NT_FILE, its offset in pages.
type file struct {
	start, end, page uint64
	path             string
}

func (b *builder) files(unit uint64, files ...file) {
	desc := b.word(nil, uint64(len(files)), unit)
	var names []byte
	for _, f := range files {
		desc = b.word(desc, f.start, f.end, f.page)
		names = append(append(names, f.path...), 0)
	}
	b.note("CORE", ntFile, append(desc, names...))
}

func (b *builder) bytes() []byte {
	wide := b.class == elf.ELFCLASS64
	ehsize, phsize, shsize := uint64(64), uint64(56), uint64(64)
	if !wide {
		ehsize, phsize, shsize = 52, 32, 40
	}
	phnum := uint64(len(b.loads) + 1)
	notesAt := ehsize + phnum*phsize
	var progs, body []byte
	prog := func(typ elf.ProgType, flags elf.ProgFlag, off, vaddr, filesz, memsz uint64) {
		o := appendOrder(b.order)
		progs = o.AppendUint32(progs, uint32(typ))
		if wide {
			progs = o.AppendUint32(progs, uint32(flags))
			progs = b.word(progs, off, vaddr, 0, filesz, memsz, 0)
		} else {
			progs = b.word(progs, off, vaddr, 0, filesz, memsz)
			progs = o.AppendUint32(progs, uint32(flags))
			progs = b.word(progs, 0)
		}
	}
	prog(elf.PT_NOTE, 0, notesAt, 0, uint64(len(b.notes)), 0)
	body = append(body, b.notes...)
	for _, l := range b.loads {
		prog(elf.PT_LOAD, l.flags, notesAt+uint64(len(body)), l.vaddr, uint64(len(l.data)), l.memsz)
		body = append(body, l.data...)
	}
	shoff := uint64(0)
	if phnum >= pnXNum {
		shoff = notesAt + uint64(len(body))
		section := make([]byte, shsize)
		at := 44
		if !wide {
			at = 28
		}
		b.order.PutUint32(section[at:], uint32(phnum))
		body = append(body, section...)
		phnum = pnXNum
	}
	typ := b.typ
	if typ == 0 {
		typ = elf.ET_CORE
	}
	o := appendOrder(b.order)
	data := elf.ELFDATA2LSB
	if b.order == binary.BigEndian {
		data = elf.ELFDATA2MSB
	}
	out := append([]byte("\x7fELF"), byte(b.class), byte(data), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = o.AppendUint16(out, uint16(typ))
	out = o.AppendUint16(out, uint16(b.machine))
	out = o.AppendUint32(out, 1)
	out = b.word(out, 0, ehsize, shoff)
	out = o.AppendUint32(out, 0)
	for _, v := range []uint64{ehsize, phsize, phnum, shsize, 0, 0} {
		out = o.AppendUint16(out, uint16(v))
	}
	return append(append(out, progs...), body...)
}

func pad(b []byte, to int) []byte {
	return append(b, bytes.Repeat([]byte{0}, (to-len(b)%to)%to)...)
}
