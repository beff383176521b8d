package kdump

import (
	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// batch is a number of stored pages, one behind the other, on their way
// through the pipeline.
type batch struct {
	run
	addr   addr.GPA // of the first page
	memory int64    // of the guest in them, bytes
	zero   bool     // all of it, known unread

	page  []byte   // one page after the other, as the guest has them
	data  []byte   // what to store of them
	packs []packed // of each page
	ready chan struct{}
}

// packed is what became of a page; those of a batch lie one behind the other
// in its data. Size 0 is a page of zeros.
type packed struct {
	size  uint32 // bytes
	plain bool
}

// set makes b what x is, with b's buffers.
func (b *batch) set(x batch) {
	b.run, b.addr, b.memory, b.zero = x.run, x.addr, x.memory, x.zero
}

// pack reads and compresses the pages, of size bytes each.
func (b *batch) pack(im *guest.Image, p packer, size int64) error {
	n := int(b.count * size)
	if cap(b.page) < n {
		b.page = make([]byte, n)
	}
	b.page, b.data, b.packs = b.page[:n], b.data[:0], b.packs[:0]
	if err := dump.ReadMemory(im, b.page, b.addr); err != nil {
		return err
	}
	for at := 0; at < n; at += int(size) {
		b.packs = append(b.packs, b.packPage(p, b.page[at:at+int(size)]))
	}
	return nil
}

func (b *batch) packPage(p packer, page []byte) packed {
	if dump.IsZero(page) {
		return packed{}
	}
	before := len(b.data)
	b.data = p.pack(b.data, page)
	if n := len(b.data) - before; n < len(page) {
		return packed{size: uint32(n)}
	}
	b.data = append(b.data[:before], page...)
	return packed{size: uint32(len(page)), plain: true}
}
