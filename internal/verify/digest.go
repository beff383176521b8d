package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"guestcore/internal/addr"
)

// Sizes in bytes.
const (
	Piece = 2 << 20 // what is hashed at once
	Page  = 4 << 10 // what is counted where something is wrong
)

// Sum is a SHA-256 sum, or none where not all of the memory could be read.
type Sum struct {
	sum   [sha256.Size]byte
	valid bool
}

// String is "sha256:" and the sum in hexadecimal, "" for none.
func (s Sum) String() string {
	if !s.valid {
		return ""
	}
	return "sha256:" + hex.EncodeToString(s.sum[:])
}

// Digest is a digest of memory: a tree of SHA-256 sums. Where the pieces are
// cut and what is hashed depends on the memory alone, so that memory read from
// an ELF dump, from a compressed one and from a core has the same digest.
//
//	piece    the bytes of a span between two multiples of 2 MiB
//	span     its start and its size, 8 bytes each, big-endian, then the sums
//	         of its pieces
//	all      the sums of the spans, in order; no two of them touch
type Digest struct {
	All   Sum
	Spans []Sum
}

// builder makes a digest of pieces that come in order.
type builder struct {
	digest           Digest
	all, span        hash.Hash
	valid, spanValid bool // so far
}

func newBuilder() *builder {
	return &builder{all: sha256.New(), span: sha256.New(), valid: true}
}

// begin begins a span.
func (b *builder) begin(s Span) {
	b.span.Reset()
	b.spanValid = true
	var head [16]byte
	binary.BigEndian.PutUint64(head[:], uint64(s.Start))
	binary.BigEndian.PutUint64(head[8:], s.Size())
	b.span.Write(head[:])
}

// piece adds a piece of the span.
func (b *builder) piece(s Sum) {
	b.span.Write(s.sum[:])
	b.spanValid = b.spanValid && s.valid
}

// end ends the span.
func (b *builder) end() {
	s := Sum{valid: b.spanValid}
	b.span.Sum(s.sum[:0])
	b.digest.Spans = append(b.digest.Spans, s)
	b.all.Write(s.sum[:])
	b.valid = b.valid && s.valid
}

// done is the digest.
func (b *builder) done() Digest {
	b.digest.All.valid = b.valid
	b.all.Sum(b.digest.All.sum[:0])
	return b.digest
}

var (
	zeros   [Piece]byte
	zeroSum = sha256.Sum256(zeros[:])
)

// sumZeros is the sum of so many zeros, at most a piece.
func sumZeros(n uint64) Sum {
	if n == Piece {
		return Sum{zeroSum, true}
	}
	return Sum{sha256.Sum256(zeros[:n]), true}
}

// pieceEnd is where the piece ends that begins at a.
func pieceEnd(a, end addr.GPA) addr.GPA { return min((a/Piece+1)*Piece, end) }
