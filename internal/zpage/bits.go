package zpage

import "encoding/binary"

// bits writes bytes and, between them, streams of bits, the lowest of a byte
// first. Decoders read such a stream from its end: what is written last they
// read first. There must be room for eight bytes more than are written.
type bits struct {
	out  []byte
	at   int    // bytes written
	word uint64 // bits to be written
	n    uint   // how many; less than 8 after flush
}

// add adds n bits of v, whose others are zero. Between two calls of flush 56
// bits fit.
func (w *bits) add(v uint64, n uint) {
	w.word |= v << (w.n & 63)
	w.n += n
}

// flush writes whole bytes.
func (w *bits) flush() {
	binary.LittleEndian.PutUint64(w.out[w.at:], w.word)
	w.at += int(w.n >> 3)
	w.word >>= w.n &^ 7 & 63
	w.n &= 7
}

// end ends a stream: a bit that tells where, then zeros up to a whole byte.
func (w *bits) end() {
	w.add(1, 1)
	w.align()
}

// align fills the last byte up with zeros.
func (w *bits) align() {
	w.n = (w.n + 7) &^ 7
	w.flush()
}

// bytes writes the n low bytes of v, the lowest first, between streams.
func (w *bits) bytes(v uint64, n int) {
	binary.LittleEndian.PutUint64(w.out[w.at:], v)
	w.at += n
}
