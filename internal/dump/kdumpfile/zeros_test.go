package kdumpfile

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// shared is a file of so many pages, all of which are there; those that are
// zero share one, those that are other share another. Its bytes are in memory.
func shared(r *rand.Rand, pages int) (b, memory []byte) {
	const sub, bitmap = 1, 2 // blocks
	be := binary.BigEndian
	b = make([]byte, (1+sub+bitmap)*block)
	copy(b, "KDUMP   ")
	be.PutUint32(b[8:], 6)
	for i, w := range []uint32{0, block, sub, bitmap, uint32(pages), 0, 0, 0, 0, 1} {
		be.PutUint32(b[424+4*i:], w)
	}
	be.PutUint64(b[block+96:], uint64(pages))
	for i := range pages {
		b[2*block+i/8] |= 1 << (i % 8)
		b[3*block+i/8] |= 1 << (i % 8)
	}
	descs := len(b)
	b = append(b, make([]byte, 24*pages)...)
	zero := len(b)
	b = append(b, make([]byte, block)...)
	other := len(b)
	b = append(b, page(7)...)
	for i := 0; i < pages; {
		kind, n := r.IntN(4), 1+r.IntN(400)
		for ; n > 0 && i < pages; n, i = n-1, i+1 {
			at := zero
			switch kind {
			case 0:
				at = len(b)
				b = append(b, page(i+1)...)
			case 1:
				at = other
			}
			be.PutUint64(b[descs+24*i:], uint64(at))
			be.PutUint32(b[descs+24*i+8:], block)
			memory = append(memory, b[at:][:block]...)
		}
	}
	return b, memory
}

// Zeros tells nothing that is not so and, once the page of zeros is known, all
// chunks of zeros.
func TestZeros(t *testing.T) {
	const pages = 8 * block
	r := rand.New(rand.NewPCG(7, 7))
	b, memory := shared(r, pages)
	f, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	none := func(p []byte) bool { return len(bytes.Trim(p, "\x00")) == 0 }
	told := int64(0)
	for i := range 200 {
		off, end := int64(0), int64(len(memory))
		if i > 0 {
			off = r.Int64N(end)
			end = off + 1 + r.Int64N(end-off)
		}
		for at := off; at < end; {
			zeros, data := f.Zeros(at, end-at)
			if zeros < 0 || data < 0 || zeros+data > end-at || data == 0 && zeros < end-at {
				t.Fatalf("%d and %d of %d bytes", zeros, data, end-at)
			}
			if !none(memory[at:][:zeros]) {
				t.Fatalf("%d bytes at %#x are not zero", zeros, at)
			}
			told += zeros
			at += zeros
			for chunk := (at + zeroChunk - 1) / zeroChunk * zeroChunk; i > 0 && chunk+zeroChunk <= at+data; chunk += zeroChunk {
				if none(memory[chunk:][:zeroChunk]) {
					t.Fatalf("the zeros at %#x are data", chunk)
				}
			}
			at += data
		}
	}
	if told == 0 {
		t.Error("no zeros are told")
	}
	if zeros, data := f.Zeros(0, 1<<40); zeros+data == 0 { // behind the end nothing is known
		t.Error("no end")
	}
	if f, err := read(small()); err != nil {
		t.Error(err)
	} else if zeros, data := f.Zeros(0, 10*block); zeros != 0 || data != 10*block {
		t.Errorf("of a file without zeros %d", zeros)
	}
}
