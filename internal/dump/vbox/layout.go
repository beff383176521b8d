package vbox

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

const (
	ehsize, phsize, shsize = 64, 56, 64 // bytes
	page                   = 4096
	// maxSegments is how many ranges VirtualBox writes, passing over others.
	// With the PT_NOTE e_phnum is 0xffff then, and no PN_XNUM: there is no
	// section.
	maxSegments = 0xffff - 1
	// maxAddress is the end of what an x86 processor addresses. QEMU has
	// ranges of I/O up to 2^64.
	maxAddress = 1 << 52
)

// part is a piece of the memory bus: Data for memory, Lost for memory that is
// absent, Omitted for devices.
type part = extent.Extent[addr.GPA, addr.GPA]

// segment is a PT_LOAD.
type segment struct {
	addr   addr.GPA
	size   uint64 // bytes
	offset int64  // in the file
	parts  []part // none of devices
}

// layout is where everything is in the file.
type layout struct {
	machine  elf.Machine
	notes    int64 // offset of the notes
	noteLen  int64
	segments []segment
	size     int64
}

func newLayout(g arch.Guest, c *dump.Content, devices []guest.Range, noteLen, align int64) (*layout, error) {
	if align == 0 {
		align = dump.DefaultAlign
	}
	if align < 0 || align&(align-1) != 0 {
		return nil, fmt.Errorf("alignment of %d bytes: must be a power of two", align)
	}
	bus, err := busOf(c, devices)
	if err != nil {
		return nil, err
	}
	l := &layout{machine: g.Machine, noteLen: noteLen, segments: segmentsOf(bus)}
	if n := len(l.segments); n > maxSegments {
		return nil, fmt.Errorf("guest memory has %d ranges, VirtualBox's format holds %d: use the elf format", n, maxSegments)
	}
	l.notes = ehsize + int64(1+len(l.segments))*phsize
	at := l.notes + noteLen
	for i := range l.segments {
		s := &l.segments[i]
		if s.parts == nil {
			s.offset = at
			continue
		}
		if s.size > uint64(math.MaxInt64-align-at) {
			return nil, fmt.Errorf("guest memory of %#x bytes at %#x: a file cannot be that large", s.size, uint64(s.addr))
		}
		at = (at + align - 1) &^ (align - 1)
		s.offset = at
		at += int64(s.size)
	}
	l.size = at
	return l, nil
}

// busOf is the memory bus: memory, what is absent of it, and in whole pages,
// as VirtualBox has them, the devices beside.
func busOf(c *dump.Content, devices []guest.Range) (*extent.Map[addr.GPA, addr.GPA], error) {
	bus := &extent.Map[addr.GPA, addr.GPA]{}
	for _, d := range devices {
		start, end := uint64(d.Addr), min(uint64(d.Addr)+min(d.Size, maxAddress), maxAddress)
		if w := c.Window; !w.IsZero() {
			start, end = max(start, uint64(w.Begin)), min(end, uint64(w.Begin)+w.Length)
		}
		if start >= end {
			continue
		}
		start, end = start&^(page-1), (end+page-1)&^(page-1)
		if err := bus.Insert(part{Addr: addr.GPA(start), Size: end - start, Kind: extent.Omitted}); err != nil {
			return nil, fmt.Errorf("devices: %w", err)
		}
	}
	for _, r := range c.Ranges {
		if err := bus.Insert(part{Addr: r.Addr, Size: r.Size, Off: r.Addr}); err != nil {
			return nil, fmt.Errorf("guest memory: %w", err)
		}
	}
	for _, a := range c.Absent {
		if err := bus.Insert(part{Addr: a.Addr, Size: a.Size, Kind: extent.Lost}); err != nil {
			return nil, fmt.Errorf("absent guest memory: %w", err)
		}
	}
	return bus, nil
}

// segmentsOf makes a segment of memory that is in one piece, of whatever it
// consists, and of devices likewise.
func segmentsOf(bus *extent.Map[addr.GPA, addr.GPA]) []segment {
	var out []segment
	for _, e := range bus.Extents() {
		n, memory := len(out)-1, e.Kind != extent.Omitted
		if n < 0 || out[n].addr+addr.GPA(out[n].size) != e.Addr || (out[n].parts != nil) != memory {
			out = append(out, segment{addr: e.Addr})
			n++
		}
		out[n].size += e.Size
		if memory {
			out[n].parts = append(out[n].parts, e)
		}
	}
	return out
}

// encode is the file up to the notes.
func (l *layout) encode() []byte {
	h := elf.Header64{
		Type: uint16(elf.ET_CORE), Machine: uint16(l.machine), Version: uint32(elf.EV_CURRENT),
		Phoff: ehsize, Ehsize: ehsize, Phentsize: phsize, Phnum: uint16(1 + len(l.segments)), Shentsize: shsize,
	}
	copy(h.Ident[:], elf.ELFMAG) // EI_VERSION stays 0, as VirtualBox leaves it
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	var b bytes.Buffer
	b.Grow(int(l.notes))
	put(&b, h)
	put(&b, elf.Prog64{
		Type: uint32(elf.PT_NOTE), Flags: uint32(elf.PF_R), Off: uint64(l.notes), Filesz: uint64(l.noteLen), Memsz: uint64(l.noteLen),
	})
	for _, s := range l.segments {
		p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: uint64(s.offset), Paddr: uint64(s.addr), Memsz: s.size}
		if s.parts != nil {
			p.Filesz = s.size
		}
		put(&b, p)
	}
	return b.Bytes()
}

// put appends a value of fixed size, little-endian.
func put(b *bytes.Buffer, v any) {
	if err := binary.Write(b, binary.LittleEndian, v); err != nil {
		panic(err) // v is not of fixed size
	}
}
