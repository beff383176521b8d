package kdump

import (
	"debug/elf"
	"encoding/binary"
	"math"

	"guestcore/internal/arch"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest/linux"
)

// layout is where everything is in the file.
type layout struct {
	class   elf.Class
	block   int64 // bytes
	sub     int64 // blocks of the sub header and the notes
	bitmap  int64 // offset of bitmap 1; bitmap 2 is right behind it
	bits    int64 // length of one bitmap, bytes, whole blocks
	descs   int64 // offset of the page descriptors
	data    int64 // offset of the page of zeros, with which the data begin
	maxPage int64 // behind the last page
}

// descSize is the length of a page descriptor, in bytes.
const descSize = 24

func newLayout(class elf.Class, block int64, p *pages, noteLen int64) *layout {
	l := &layout{class: class, block: block, maxPage: p.end}
	l.sub = ceil(l.subSize()+noteLen, block)
	l.bitmap = (1 + l.sub) * block
	l.bits = ceil(ceil(p.end, 8), block) * block
	l.descs = l.bitmap + 2*l.bits
	l.data = l.descs + p.count*descSize
	return l
}

// ceil is n / by, rounded up.
func ceil(n, by int64) int64 { return (n + by - 1) / by }

// subSize is the length of the sub header, in bytes; the notes are behind it.
func (l *layout) subSize() int64 {
	if l.class == elf.ELFCLASS32 {
		return int64(binary.Size(subHeader32{}))
	}
	return int64(binary.Size(subHeader64{}))
}

// header is what the headers say besides the layout.
type header struct {
	arch     arch.Guest
	cpus     int
	flag     uint32
	info     linux.Info
	physBase uint64
	notes    note.Notes
}

// headerVersion is the one with 64-bit page numbers, of 2014.
const headerVersion = 6

// mainHeader is struct disk_dump_header from status on (makedumpfile,
// diskdump_mod.h). Before it are the signature, the version, six names of 65
// bytes and a struct timeval, aligned as the guest's C compiler does.
type mainHeader struct {
	Status       uint32
	BlockSize    uint32
	SubBlocks    uint32
	BitmapBlocks uint32 // of both
	MaxMapNr     uint32 // as far as it fits
	TotalRAM     uint32
	Devices      uint32
	Written      uint32
	CurrentCPU   uint32
	CPUs         uint32
}

// Offsets of mainHeader, bytes.
const (
	mainAt32 = 412
	mainAt64 = 424
)

// subHeader64 is struct kdump_sub_header of 64-bit guests, version 6.
type subHeader64 struct {
	PhysBase         uint64
	DumpLevel        uint32
	Split            uint32
	StartPFN, EndPFN uint64
	VMCoreInfo       uint64 // file offset
	VMCoreInfoSize   uint64
	Note, NoteSize   uint64
	Erase, EraseSize uint64
	Start64, End64   uint64
	MaxMapNr64       uint64
}

// subHeader32 is the same of 32-bit guests.
type subHeader32 struct {
	PhysBase         uint32
	DumpLevel        uint32
	Split            uint32
	StartPFN, EndPFN uint32
	VMCoreInfo       uint64
	VMCoreInfoSize   uint32
	Note             uint64
	NoteSize         uint32
	Erase            uint64
	EraseSize        uint32
	Start64, End64   uint64
	MaxMapNr64       uint64
}

// dumpLevel says that pages of zeros are not stored one by one, as in QEMU's
// files.
const dumpLevel = 1

// encode is the file up to the end of the notes.
func (l *layout) encode(h header) []byte {
	order := h.arch.Order
	b := make([]byte, l.block, (1+l.sub)*l.block)
	copy(b, "KDUMP   ")
	order.PutUint32(b[8:], headerVersion)
	for i, name := range utsname(h.arch, h.info) {
		copy(b[12+i*65:][:64], name)
	}
	at := mainAt64
	if l.class == elf.ELFCLASS32 {
		at = mainAt32
	}
	put(b[at:], order, mainHeader{
		Status:       h.flag,
		BlockSize:    uint32(l.block),
		SubBlocks:    uint32(l.sub),
		BitmapBlocks: uint32(2 * l.bits / l.block),
		MaxMapNr:     uint32(min(l.maxPage, math.MaxUint32)),
		CPUs:         uint32(max(h.cpus, 1)),
	})
	b = b[:cap(b)]
	noteAt := l.block + l.subSize()
	put(b[l.block:], order, l.subHeader(h, uint64(noteAt)))
	copy(b[noteAt:], h.notes.Bytes)
	return b
}

func (l *layout) subHeader(h header, noteAt uint64) any {
	s := subHeader64{
		PhysBase: h.physBase, DumpLevel: dumpLevel, MaxMapNr64: uint64(l.maxPage),
		Note: noteAt, NoteSize: uint64(len(h.notes.Bytes)),
	}
	if n := len(h.notes.VMCoreInfo); n > 0 {
		s.VMCoreInfo, s.VMCoreInfoSize = noteAt+uint64(h.notes.VMCoreInfoAt), uint64(n)
	}
	if l.class == elf.ELFCLASS64 {
		return s
	}
	return subHeader32{
		PhysBase: uint32(s.PhysBase), DumpLevel: s.DumpLevel, MaxMapNr64: s.MaxMapNr64,
		Note: s.Note, NoteSize: uint32(s.NoteSize), VMCoreInfo: s.VMCoreInfo, VMCoreInfoSize: uint32(s.VMCoreInfoSize),
	}
}

// put encodes a struct of fixed size.
func put(b []byte, order binary.ByteOrder, v any) {
	if _, err := binary.Encode(b, order, v); err != nil {
		panic(err) // b is a block or more
	}
}
