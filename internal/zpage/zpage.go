// Package zpage packs a page of memory as a Zstandard frame (RFC 8878), which
// any decoder of that format reads. It does nothing else: a frame has one
// block, a block is as long as a page, no page knows of another. All its tables
// fit in the processor's first-level cache, so that it makes frames as long as
// level 1 of a library for streams in less time: a seventh on a fresh Linux.
//
//	frame  ::= magic, descriptor, length of the page, block
//	block  ::= header, literals, sequences          or: header, the page as it is
//	literals  ::= header, Huffman tree, 1 or 4 bit streams        or: as they are
//	sequences ::= number, modes, FSE tables, bit stream
//
// It is no decoder: package kdumpfile has one from elsewhere. Package lzo is
// its sister for LZO1X; package dump/kdump is who needs both.
package zpage

import "encoding/binary"

// MaxSize is the length of the longest page, in bytes.
const MaxSize = 64 << 10

const (
	magic         = 0xfd2fb528
	singleSegment = 1 << 5 // in the descriptor: the window is as long as the page
	length2       = 1 << 6 // in the descriptor: the length has two bytes

	lastBlock       = 1 // in a block's header; the type is above it, then the length
	rawBlock        = 0 << 1
	compressedBlock = 2 << 1
	blockHeader     = 3 // bytes
)

// Encoder packs one page after another. The zero Encoder is ready for use,
// takes 50 KiB and eight times the length of a page, and serves one goroutine
// at a time.
type Encoder struct {
	matcher matcher
	lits    huffman
	codes   coder
	out     []byte
}

// Compress appends the frame of a page of at most [MaxSize] bytes to dst and
// returns it. What cannot be made shorter gets a few bytes longer.
func (e *Encoder) Compress(dst, page []byte) []byte {
	if len(page) > MaxSize {
		panic("zpage: the page is too long")
	}
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	if n := len(page); n < 256 {
		dst = append(dst, singleSegment, byte(n))
	} else {
		dst = append(dst, singleSegment|length2)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(n-256))
	}
	if block := e.block(page); len(block) < len(page) {
		dst = appendHeader(dst, compressedBlock, len(block))
		return append(dst, block...)
	}
	dst = appendHeader(dst, rawBlock, len(page))
	return append(dst, page...)
}

func appendHeader(dst []byte, kind, n int) []byte {
	h := lastBlock | kind | n<<3
	return append(dst, byte(h), byte(h>>8), byte(h>>16))
}

// block is the compressed block of a page, without its header. It is valid
// until the next one.
func (e *Encoder) block(page []byte) []byte {
	e.matcher.split(page)
	// At worst a literal takes a byte, and a sequence, which is worth four
	// bytes or more, ten; and the writers of bits store eight at a time.
	if n := 3*len(page) + 1024; len(e.out) < n {
		e.out = make([]byte, n)
	}
	w := writer{out: e.out}
	e.lits.write(&w, e.matcher.lits)
	e.codes.write(&w, e.matcher.seqs)
	return w.out[:w.at]
}
