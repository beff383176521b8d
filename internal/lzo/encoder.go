package lzo

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"
)

const (
	minMatch = 4 // bytes that the table finds again

	// How far back a repeat may reach, by kind of instruction.
	nearDistance = 2 << 10
	midDistance  = 16 << 10
	maxDistance  = 48<<10 - 1

	// tableBits is the logarithm of the table's entries: 64 KiB, which stay in
	// the second-level cache.
	tableBits = 14

	// skipShift is how fast the search gives up on data that does not repeat:
	// after every 1<<skipShift bytes without a repeat its step grows by one, up
	// to maxSkip, so that what follows the noise is not missed.
	skipShift = 4
	maxSkip   = 64
)

// MaxCompressedSize is the room that Compress wants for the stream of n bytes.
// No stream is as long: at worst 19 literals, which take two bytes more, come
// before every repeat of four bytes, which saves one: one byte more in 23. The
// rest lets the encoder write in words.
func MaxCompressedSize(n int) int { return n + n/16 + 64 }

// Compress appends the stream of src to dst and returns it. It has an
// [Encoder] from a pool; whoever has many blocks keeps an own one.
func Compress(dst, src []byte) []byte {
	e := encoders.Get().(*Encoder)
	defer encoders.Put(e)
	return e.Compress(dst, src)
}

var encoders = sync.Pool{New: func() any { return new(Encoder) }}

// Encoder packs one block after another. Blocks know nothing of each other:
// the stream of a block is always the same. The zero Encoder is ready for
// use, takes 64 KiB, and serves one goroutine at a time.
type Encoder struct {
	// table has, by hash of four bytes, when these were last seen. Time counts
	// the bytes of all blocks, so that what is left of an older block is seen
	// to be out of reach and the table need not be cleared for each block.
	table [1 << tableBits]uint32
	// now is the time of the next block's first byte; 0 says that the table is
	// to be cleared.
	now uint32
}

// Compress appends the stream of src to dst and returns it. It allocates
// nothing if dst has room for MaxCompressedSize(len(src)) more bytes.
func (e *Encoder) Compress(dst, src []byte) []byte {
	start, limit := len(dst), MaxCompressedSize(len(src))
	dst = slices.Grow(dst, limit)
	w := writer{out: dst[start : start+limit]}
	anchor := e.repeats(&w, src)
	w.literals(src, anchor, len(src))
	w.end()
	return dst[:start+w.n]
}

// repeats writes src up to the end of its last repeat, and returns that end.
func (e *Encoder) repeats(w *writer, src []byte) (anchor int) {
	if uint64(e.now)+uint64(len(src)) > math.MaxUint32 {
		e.now = 0
	}
	if e.now == 0 {
		clear(e.table[:])
		e.now = 1
	}
	now := e.now
	e.now = uint32(min(uint64(now)+uint64(len(src)), math.MaxUint32))

	last := len(src) - 8 // the last position where a word can be read
	for s := 0; s <= last; {
		word := binary.LittleEndian.Uint32(src[s:])
		slot := &e.table[hash(word)]
		distance := int(now + uint32(s) - *slot)
		*slot = now + uint32(s)
		if distance > min(s, maxDistance) || binary.LittleEndian.Uint32(src[s-distance:]) != word {
			s += min(1+(s-anchor)>>skipShift, maxSkip)
			continue
		}
		from := s
		for from > anchor && from > distance && src[from-1] == src[from-1-distance] {
			from--
		}
		end := s + minMatch + same(src[s+minMatch:], src[s+minMatch-distance:])
		w.literals(src, anchor, from)
		w.repeat(distance, end-from)
		s, anchor = end, end
		if s <= last {
			// What begins just before the end is often seen again: a structure
			// whose last field differs, say.
			e.table[hash(binary.LittleEndian.Uint32(src[s-2:]))] = now + uint32(s-2)
		}
	}
	return anchor
}

// hash is the slot of the table for four bytes.
func hash(word uint32) uint32 { return word * 0x9e3779b1 >> (32 - tableBits) }

// same counts the bytes that a and b, which is the longer, begin with alike.
func same(a, b []byte) int {
	n := 0
	for n+8 <= len(a) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}
