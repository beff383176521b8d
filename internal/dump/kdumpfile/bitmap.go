package kdumpfile

import (
	"encoding/binary"
	"math/bits"
)

// bitmap is a bit for each page, page 0 the lowest of the first byte.
type bitmap struct {
	bits  []byte
	rank  []int64 // ones before each rankStep bytes
	count int64   // ones in all
}

const rankStep = 512

// newBitmap takes the bits of so many pages, and clears the rest of the last
// byte.
func newBitmap(b []byte, pages int64) bitmap {
	if rest := pages % 8; rest != 0 {
		b[len(b)-1] &= 1<<rest - 1
	}
	m := bitmap{bits: b}
	for at := 0; at < len(b); at += rankStep {
		m.rank = append(m.rank, m.count)
		m.count += ones(b[at:min(at+rankStep, len(b))])
	}
	return m
}

// keep clears the bits of the pages before start and from end on.
func keep(b []byte, start, end int64) {
	clear(b[:start/8])
	clear(b[min((end+7)/8, int64(len(b))):])
	if start/8 < int64(len(b)) {
		b[start/8] &= 0xff << (start % 8)
	}
	if end%8 != 0 {
		b[end/8] &= 1<<(end%8) - 1
	}
}

func ones(b []byte) int64 {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return int64(n)
}

func (m *bitmap) has(page int64) bool {
	return page >= 0 && page/8 < int64(len(m.bits)) && m.bits[page/8]>>(page%8)&1 != 0
}

// index is how many pages below this one there are.
func (m *bitmap) index(page int64) int64 {
	step := page / 8 / rankStep
	return m.rank[step] + ones(m.bits[step*rankStep:page/8]) + int64(bits.OnesCount8(m.bits[page/8]&(1<<(page%8)-1)))
}

// ranges are the pages, of size bytes each, as ranges of addresses.
func (m *bitmap) ranges(size int64) []Range {
	var out []Range
	for at := int64(0); at < int64(len(m.bits)); at++ {
		b := m.bits[at]
		if b == 0 {
			continue
		}
		for i := range int64(8) {
			if b>>i&1 == 0 {
				continue
			}
			start := uint64(at*8+i) * uint64(size)
			if n := len(out); n > 0 && out[n-1].End == start {
				out[n-1].End += uint64(size)
			} else {
				out = append(out, Range{start, start + uint64(size)})
			}
		}
	}
	return out
}
