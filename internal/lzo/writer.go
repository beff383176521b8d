package lzo

import "encoding/binary"

// writer writes instructions; the table of them is in the package comment.
type writer struct {
	out []byte // with room for the longest stream
	n   int    // bytes written
}

// literals writes src[from:to], with the instruction for so many literals.
func (w *writer) literals(src []byte, from, to int) {
	size := to - from
	switch {
	case size == 0:
		return
	case w.n == 0 && size <= 255-17:
		w.put(byte(size + 17))
	case size <= 3:
		w.out[w.n-2] |= byte(size) // S of the repeat before
	default:
		w.length(0, size-3, 15)
	}
	if size <= 16 && from+16 <= len(src) {
		// Two words are faster than a copy of just the right size.
		out := w.out[w.n:][:16]
		binary.LittleEndian.PutUint64(out, binary.LittleEndian.Uint64(src[from:]))
		binary.LittleEndian.PutUint64(out[8:], binary.LittleEndian.Uint64(src[from+8:]))
	} else {
		copy(w.out[w.n:], src[from:to])
	}
	w.n += size
}

// repeat writes the shortest instruction for a repeat of size bytes, three at
// least, from distance bytes back. Its S, always two bytes from the end, is
// left zero.
func (w *writer) repeat(distance, size int) {
	switch {
	case size <= 8 && distance <= nearDistance:
		distance--
		w.put(byte((size-1)<<5 | distance&7<<2))
		w.put(byte(distance >> 3))
	case distance <= midDistance:
		w.length(0x20, size-2, 31)
		w.low14(distance - 1)
	default:
		distance -= midDistance
		w.length(0x10|byte(distance>>14)<<3, size-2, 7)
		w.low14(distance)
	}
}

// length writes an instruction with a length in its low bits, which hold at
// most max.
func (w *writer) length(op byte, n, max int) {
	if n <= max {
		w.put(op | byte(n))
		return
	}
	w.put(op)
	for n -= max; n > 255; n -= 255 {
		w.put(0)
	}
	w.put(byte(n))
}

// low14 writes 14 bits of a distance above the two bits S.
func (w *writer) low14(distance int) {
	binary.LittleEndian.PutUint16(w.out[w.n:], uint16(distance<<2))
	w.n += 2
}

// end writes the end marker: a repeat from distance 0 of the far kind, with
// the length 3.
func (w *writer) end() {
	w.put(0x11)
	w.put(0)
	w.put(0)
}

func (w *writer) put(b byte) {
	w.out[w.n] = b
	w.n++
}
