package kdumpfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// class is where a 64-bit or a 32-bit guest's C compiler puts what is in
// struct disk_dump_header and struct kdump_sub_header.
type class struct {
	elf  elf.Class
	main int // offset of "status" in the main header
	word int // bytes of an unsigned long
	// Offsets in the sub header.
	phys, level, split, vmcoreinfo, note, start, max, size int
}

var classes = []class{
	{elf.ELFCLASS64, 424, 8, 0, 8, 12, 32, 48, 80, 96, 104},
	{elf.ELFCLASS32, 412, 4, 0, 4, 8, 20, 32, 56, 72, 80},
}

// mainSize is the length of the main header of a 32-bit guest, bytes.
const mainSize = 452

// Bounds of a block that are believed, bytes.
const (
	minBlock = 1 << 9
	maxBlock = 1 << 20
)

const version = 6

// layout is what is read of the main header.
type layout struct {
	class
	order  binary.ByteOrder
	status uint32
	block  int64
	sub    int64 // blocks
	bitmap int64 // blocks
	maxNr  uint32
	cpus   uint32
}

// readHeaders reads all but the pages and their descriptors.
func (f *File) readHeaders() error {
	if f.Cut && !f.has(0, mainSize) {
		return f.cutBefore(0, mainSize)
	}
	head := make([]byte, 512) // some flattened files have not all of them
	if n, err := f.r.ReadAt(head, 0); n < len(head) && err == io.EOF {
		return fmt.Errorf("%w: it has %d bytes only", ErrFormat, n)
	} else if n < len(head) {
		return readError(int64(n), err)
	}
	if f.Flattened && string(head[:4]) == elf.ELFMAG {
		return &FormatError{0, "it is a flattened ELF dump: makedumpfile -R DUMP <FILE makes one of it that can be read"}
	}
	if string(head[:8]) != "KDUMP   " {
		return fmt.Errorf("%w: it begins with %q", ErrFormat, head[:8])
	}
	l, err := readMain(head)
	if err != nil {
		return err
	}
	f.Class, f.Order, f.BlockSize, f.Compressed, f.CPUs = l.elf, l.order, l.block, l.status, int(l.cpus)
	for i := range f.UTS {
		name, _, _ := bytes.Cut(head[12+i*65:][:65], []byte{0})
		f.UTS[i] = string(name)
	}
	if err := f.readSub(l); err != nil {
		return err
	}
	return f.readBitmaps(l)
}

// readMain finds out the byte order by the version and the class by what is
// possible.
func readMain(head []byte) (layout, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(head[8:]) > 0xffff {
		order = binary.BigEndian
	}
	if v := order.Uint32(head[8:]); v != version {
		return layout{}, &FormatError{8, fmt.Sprintf("the header has version %d: only %d is known", v, version)}
	}
	for _, c := range classes {
		word := func(i int) uint32 { return order.Uint32(head[c.main+4*i:]) }
		l := layout{
			class: c, order: order, status: word(0), block: int64(word(1)), sub: int64(word(2)),
			bitmap: int64(word(3)), maxNr: word(4), cpus: word(9),
		}
		if l.block < minBlock || l.block > maxBlock || l.block&(l.block-1) != 0 || l.sub == 0 || l.bitmap == 0 || l.bitmap%2 != 0 {
			continue
		}
		return l, nil
	}
	return layout{}, &FormatError{int64(classes[1].main), "there is no size of blocks that can be, neither of a 64-bit nor of a 32-bit guest"}
}

func (f *File) readSub(l layout) error {
	sub, err := f.bytes(l.block, int64(l.size))
	if err != nil {
		return fmt.Errorf("sub header: %w", err)
	}
	long := func(at int) uint64 {
		if l.word == 4 {
			return uint64(l.order.Uint32(sub[at:]))
		}
		return l.order.Uint64(sub[at:])
	}
	f.PhysBase = long(l.phys)
	f.DumpLevel = int(int32(l.order.Uint32(sub[l.level:])))
	f.vmcoreinfo = span{int64(l.order.Uint64(sub[l.vmcoreinfo:])), int64(long(l.vmcoreinfo + 8))}
	f.notes = span{int64(l.order.Uint64(sub[l.note:])), int64(long(l.note + 8))}
	end := (1 + l.sub) * l.block
	for _, s := range []span{f.vmcoreinfo, f.notes} {
		if s.size != 0 && (s.off < l.block || s.size < 0 || s.off > end-s.size) {
			return &FormatError{l.block, fmt.Sprintf("the sub header has notes of %d bytes at %#x: it ends at %#x", s.size, s.off, end)}
		}
	}
	pages := l.order.Uint64(sub[l.max:])
	if pages == 0 {
		pages = uint64(l.maxNr)
	}
	if pages > uint64(l.bitmap)/2*uint64(l.block)*8 {
		return &FormatError{l.block, fmt.Sprintf("%d pages do not fit bitmaps of %d blocks", pages, l.bitmap)}
	}
	f.MaxPage = int64(pages)
	return f.readSplit(l, sub)
}

// readSplit reads which pages a part of a file has.
func (f *File) readSplit(l layout, sub []byte) error {
	if f.Split = l.order.Uint32(sub[l.split:]) != 0; !f.Split {
		return nil
	}
	start, end := l.order.Uint64(sub[l.start:]), l.order.Uint64(sub[l.start+8:])
	if start > end || end > uint64(f.MaxPage) {
		return &FormatError{l.block, fmt.Sprintf("the part of a split file has the pages from %d to %d of %d, which cannot be", start, end, f.MaxPage)}
	}
	f.Start, f.End = int64(start), int64(end)
	return nil
}

func (f *File) readBitmaps(l layout) error {
	at := (1 + l.sub) * l.block
	half := l.bitmap / 2 * l.block
	f.descs = at + 2*half
	for i, to := range []*bitmap{&f.exist, &f.stored} {
		b, err := f.bytes(at+int64(i)*half, (f.MaxPage+7)/8)
		if err != nil {
			return fmt.Errorf("bitmap %d: %w", i+1, err)
		}
		if to == &f.stored && f.Split { // the rest is in other parts
			keep(b, f.Start, f.End)
		}
		*to = newBitmap(b, f.MaxPage)
	}
	return nil
}
