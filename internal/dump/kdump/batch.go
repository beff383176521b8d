package kdump

import (
	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// batch is a number of stored pages, one behind the other.
type batch struct {
	run
	addr   addr.GPA // of the first page
	memory int64    // of the guest in them, bytes
	zero   bool     // all of it, known unread
}

// bundle is a batch and what becomes of it. One after the other is made in the
// same buffers.
type bundle struct {
	batch
	page  []byte   // one page after the other, as the guest has them
	data  []byte   // what to store of them: in page if all are noise, else in buf
	buf   []byte   // of data
	packs []packed // of each page
	plain bool     // all pages are stored as they are
}

// packed is what became of a page; those of a batch lie one behind the other
// in its data. Size 0 is a page of zeros.
type packed struct {
	size  uint32 // bytes
	plain bool
}

// read reads the pages of the batch, of size bytes each.
func (u *bundle) read(im *guest.Image, size int64) error {
	n := int(u.count * size)
	if cap(u.page) < n {
		u.page = make([]byte, n)
	}
	u.page = u.page[:n]
	return dump.ReadMemory(im, u.page, u.addr)
}

// pack compresses the pages, of size bytes each. As long as all are noise,
// nothing is copied.
func (u *bundle) pack(p packer, size int) {
	u.data, u.packs, u.plain = u.buf[:0], u.packs[:0], true
	plain := 0 // bytes of the first pages, which are noise
	for at := 0; at < len(u.page); at += size {
		page := u.page[at : at+size]
		noise := isNoise(page)
		if noise && plain == at {
			u.packs = append(u.packs, packed{uint32(size), true})
			plain += size
			continue
		}
		if plain == at {
			u.data = append(u.data, u.page[:plain]...)
		}
		became := u.packPage(p, page, noise)
		u.packs = append(u.packs, became)
		u.plain = u.plain && became.plain
	}
	u.buf = u.data
	if plain == len(u.page) {
		u.data = u.page
	}
}

func (u *bundle) packPage(p packer, page []byte, noise bool) packed {
	if dump.IsZero(page) {
		return packed{}
	}
	before := len(u.data)
	if !noise {
		u.data = p.pack(u.data, page)
		if n := len(u.data) - before; n < len(page) {
			return packed{size: uint32(n)}
		}
	}
	u.data = append(u.data[:before], page...)
	return packed{size: uint32(len(page)), plain: true}
}
