package zpage

import (
	"encoding/binary"
	mathbits "math/bits"
)

const (
	// hashBytes is how many bytes the table finds again: a repeat of four costs
	// about what the four cost as literals.
	hashBytes = 5
	minRepeat = 4
	tableBits = 12

	// skipShift is how fast the search gives up on data that does not repeat:
	// after every 1<<skipShift bytes without a repeat its step grows by one.
	skipShift = 4

	// wordSize is what the search reads at once: it stops so many bytes before
	// the end.
	wordSize = 8
)

// sequence is so many literals and then a repeat of length bytes.
type sequence struct {
	literals uint32
	length   uint32
	// offset is how far back the repeat begins, plus 3; or 1 to 3 for one of
	// the offsets that were last used.
	offset uint32
}

// matcher splits a page into literals and repeats.
type matcher struct {
	// table has, by hash of hashBytes, where these were last seen.
	table [1 << tableBits]uint16
	lits  []byte // of all sequences, and those behind the last one
	seqs  []sequence
}

// split leaves what it finds in lits and seqs.
func (m *matcher) split(page []byte) {
	if room := len(page) + 2*wordSize; cap(m.lits) < room {
		m.lits, m.seqs = make([]byte, room), make([]sequence, len(page)/minRepeat+1)
	}
	clear(m.table[:])
	table, lits, seqs := &m.table, m.lits[:cap(m.lits)], m.seqs[:cap(m.seqs)]
	last := offsetsUsed{1, 4, 8}
	literals, sequences := 0, 0
	end := len(page) - wordSize // the last position where a word can be read
	anchor := 0                 // all before it is in lits and seqs
	for s := 1; s < end; {
		word := load(page, s)
		slot := &table[hash(word)]
		from := int(*slot)
		*slot = uint16(s)
		// The offset used last is cheap, and the next byte is the likely place:
		// a field that differs, in a list of alike structures.
		if at := s - int(last.a); at >= 0 && uint32((load(page, at)^word)>>8) == 0 {
			s, from = s+1, at+1
		} else if uint32(load(page, from)^word) != 0 {
			s += 1 + (s-anchor)>>skipShift
			continue
		}
		n := minRepeat + same(page[s+minRepeat:], page[from+minRepeat:])
		for s > anchor && from > 0 && page[s-1] == page[from-1] {
			s, from, n = s-1, from-1, n+1
		}
		more := s - anchor
		if more <= 2*wordSize && anchor+2*wordSize <= len(page) {
			store(lits, literals, load(page, anchor))
			store(lits, literals+wordSize, load(page, anchor+wordSize))
		} else {
			copy(lits[literals:], page[anchor:s])
		}
		literals += more
		var code uint32
		last, code = last.use(uint32(s-from), more > 0)
		seqs[sequences] = sequence{uint32(more), uint32(n), code}
		sequences++
		if s+2 <= end {
			table[hash(load(page, s+2))] = uint16(s + 2)
		}
		s += n
		anchor = s
		if s-2 <= end {
			table[hash(load(page, s-2))] = uint16(s - 2)
		}
	}
	literals += copy(lits[literals:], page[anchor:])
	m.lits, m.seqs = lits[:literals], seqs[:sequences]
}

// offsetsUsed are the last three, the newest first.
type offsetsUsed struct{ a, b, c uint32 }

// use is what a sequence says of an offset, which is then the newest. Without
// literals before it, a repeat has another offset than the one before it, and
// the numbers mean the next ones.
func (o offsetsUsed) use(offset uint32, literals bool) (offsetsUsed, uint32) {
	skipped := uint32(1)
	if literals {
		skipped = 0
	}
	switch {
	case offset == o.a && literals:
		return o, 1
	case offset == o.b:
		return offsetsUsed{offset, o.a, o.c}, 2 - skipped
	case offset == o.c:
		return offsetsUsed{offset, o.a, o.b}, 3 - skipped
	}
	return offsetsUsed{offset, o.a, o.b}, offset + 3
}

func load(p []byte, at int) uint64     { return binary.LittleEndian.Uint64(p[at:]) }
func store(p []byte, at int, v uint64) { binary.LittleEndian.PutUint64(p[at:], v) }

// hash is the slot of the table for the first bytes of a word.
func hash(word uint64) uint64 {
	return word << (64 - 8*hashBytes) * 0x9e3779b185ebca87 >> (64 - tableBits)
}

// same counts the bytes that a and b, which is the longer, begin with alike.
func same(a, b []byte) int {
	n := 0
	for n+8 <= len(a) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + mathbits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}
