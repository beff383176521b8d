package zpage

import "encoding/binary"

// writer writes bytes and, between them, streams of bits, the lowest of a byte
// first. Decoders read such a stream from its end: what is written last they
// read first. There must be room for eight bytes more than are written.
type writer struct {
	out []byte
	bits
}

// bits is where a writer is. It is a value, which the inner loops keep in
// registers.
type bits struct {
	at   int    // bytes written
	word uint64 // bits to be written
	n    uint   // how many; less than 8 after flush
}

// add adds n bits of v, whose others are zero. Between two calls of flush 56
// bits fit.
func (b bits) add(v uint64, n uint) bits {
	b.word |= v << (b.n & 63)
	b.n += n
	return b
}

// flush writes whole bytes.
func (b bits) flush(out []byte) bits {
	binary.LittleEndian.PutUint64(out[b.at:], b.word)
	b.at += int(b.n >> 3)
	b.word >>= b.n &^ 7 & 63
	b.n &= 7
	return b
}

// put adds n bits of v and writes what whole bytes there are.
func (w *writer) put(v uint64, n uint) { w.bits = w.add(v, n).flush(w.out) }

// end ends a stream: a bit that tells where, then zeros up to a whole byte.
func (w *writer) end() {
	w.bits = w.add(1, 1)
	w.align()
}

// align fills the last byte up with zeros.
func (w *writer) align() {
	w.n = (w.n + 7) &^ 7
	w.bits = w.flush(w.out)
}

// bytes writes the n low bytes of v, the lowest first, between streams.
func (w *writer) bytes(v uint64, n int) {
	binary.LittleEndian.PutUint64(w.out[w.at:], v)
	w.at += n
}
