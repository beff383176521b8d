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
	// last are the offsets last used, the newest first.
	last [3]uint32
	lits []byte // of all sequences, and those behind the last one
	seqs []sequence
}

// split leaves what it finds in lits and seqs.
func (m *matcher) split(page []byte) {
	if room := len(page) + 2*wordSize; cap(m.lits) < room {
		m.lits, m.seqs = make([]byte, room), make([]sequence, len(page)/minRepeat+1)
	}
	clear(m.table[:])
	m.last = [3]uint32{1, 4, 8}
	lits, seqs := m.lits[:cap(m.lits)], m.seqs[:cap(m.seqs)]
	literals, sequences := 0, 0
	end := len(page) - wordSize // the last position where a word can be read
	anchor := 0                 // all before it is in lits and seqs
	for s := 1; s < end; {
		word := load(page, s)
		slot := &m.table[hash(word)]
		from := int(*slot)
		*slot = uint16(s)
		// The offset used last is cheap, and the next byte is the likely place:
		// a field that differs, in a list of alike structures.
		if last := s - int(m.last[0]); last >= 0 && uint32((load(page, last)^word)>>8) == 0 {
			s, from = s+1, last+1
		} else if from >= s || uint32(load(page, from)^word) != 0 {
			s += 1 + (s-anchor)>>skipShift
			continue
		}
		offset := s - from
		for s > anchor && from > 0 && page[s-1] == page[from-1] {
			s--
			from--
		}
		n := minRepeat + same(page[s+minRepeat:], page[from+minRepeat:])
		if n := s - anchor; n <= 2*wordSize && anchor+2*wordSize <= len(page) {
			store(lits, literals, load(page, anchor))
			store(lits, literals+wordSize, load(page, anchor+wordSize))
			literals += n
		} else {
			literals += copy(lits[literals:], page[anchor:s])
		}
		seqs[sequences] = sequence{uint32(s - anchor), uint32(n), m.code(uint32(offset), s > anchor)}
		sequences++
		if s+2 <= end {
			m.table[hash(load(page, s+2))] = uint16(s + 2)
		}
		s += n
		anchor = s
		if s-2 <= end {
			m.table[hash(load(page, s-2))] = uint16(s - 2)
		}
	}
	literals += copy(lits[literals:], page[anchor:])
	m.lits, m.seqs = lits[:literals], seqs[:sequences]
}

func load(p []byte, at int) uint64     { return binary.LittleEndian.Uint64(p[at:]) }
func store(p []byte, at int, v uint64) { binary.LittleEndian.PutUint64(p[at:], v) }

// code is what a sequence says of an offset, which is then the newest. Without
// literals before it, a repeat has another offset than the one before it, and
// the numbers mean the next ones.
func (m *matcher) code(offset uint32, literals bool) uint32 {
	i := 0
	for i < 3 && m.last[i] != offset {
		i++
	}
	if i == 0 && !literals {
		i = 3
	}
	copy(m.last[1:], m.last[:min(i, 2)])
	m.last[0] = offset
	switch {
	case i == 3:
		return offset + 3
	case literals:
		return uint32(i + 1)
	}
	return uint32(i)
}

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
