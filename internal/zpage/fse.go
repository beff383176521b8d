package zpage

import (
	"math"
	mathbits "math/bits"
	"slices"
)

const (
	leastLog   = 5 // of a table's entries
	mostLog    = 8
	mostTree   = 6 // for the weights of a Huffman tree
	symbols    = 64
	mostStates = 1 << mostLog
)

// fse is a table for Finite State Entropy coding, and what is needed to make
// one: symbols that a state may be in the middle of cost a fraction of a bit.
type fse struct {
	log  uint // of the number of states
	norm [symbols]int16
	next [mostStates]uint16 // states, each symbol's together
	step [symbols]step
}

// step is how a symbol moves a state: the state's low bits that are written are
// (state+bits)>>16, and what is left of it plus find is the place of the next
// one.
type step struct {
	bits uint32
	find int32
}

// set makes the table for symbols that are as frequent as norm says, in
// 1<<log; -1 is less than once.
func (f *fse) set(norm []int16, log uint) {
	copy(f.norm[:], norm)
	f.log = log
	f.build(len(norm))
}

// fit makes f.norm for counts that sum up to total, and says for how many
// symbols.
func (f *fse) fit(count []uint32, total int, most uint) (n int) {
	n = len(count)
	for count[n-1] == 0 {
		n--
	}
	log := min(most, uint(max(mathbits.Len(uint(total-1))-3, min(mathbits.Len(uint(total)), mathbits.Len(uint(n-1))+1), leastLog)))
	f.log = log
	left := 1 << log
	for i, c := range count[:n] {
		f.norm[i] = 0
		if c > 0 {
			f.norm[i] = int16(max(1, (int(c)<<log+total/2)/total))
		}
		left -= int(f.norm[i])
	}
	// What rounding has left over or taken too much is that of the most frequent
	// ones.
	for left != 0 {
		largest := 0
		for i, p := range f.norm[:n] {
			if p > f.norm[largest] {
				largest = i
			}
		}
		by := max(left, -1)
		f.norm[largest] += int16(by)
		left -= by
	}
	return n
}

// cost is what n symbols of those counts take, in 1/256 bits.
func (f *fse) cost(count []uint32) int {
	sum := 0
	for i, c := range count {
		if c > 0 {
			sum += int(c) * (int(f.log)<<8 - int(log2[max(f.norm[i], 1)]))
		}
	}
	return sum
}

// log2 are logarithms, in 1/256.
var log2 = func() (t [mostStates + 1]uint16) {
	for i := range t[1:] {
		t[i+1] = uint16(math.Round(256 * math.Log2(float64(i+1))))
	}
	return t
}()

// describe writes the frequencies of n symbols: each in as many bits as what is
// left of all asks for, one less if it is small; behind one that is zero, how
// many more are.
func (f *fse) describe(w *writer, n int) {
	w.put(uint64(f.log-leastLog), 4)
	left, threshold, size := 1<<f.log+1, 1<<f.log, f.log+1
	for i := 0; left > 1; {
		p := int(f.norm[i])
		i++
		short := 2*threshold - 1 - left
		left -= max(p, -p)
		v, bits := p+1, size
		if v >= threshold {
			v += short
		}
		if v < short {
			bits--
		}
		w.put(uint64(v), bits)
		for left < threshold {
			size--
			threshold >>= 1
		}
		if p != 0 {
			continue
		}
		zeros := 0
		for ; f.norm[i] == 0; i++ {
			zeros++
		}
		for ; zeros >= 3; zeros -= 3 {
			w.put(3, 2)
		}
		w.put(uint64(zeros), 2)
	}
	w.align()
}

// build makes the table from f.norm.
func (f *fse) build(n int) {
	size := 1 << f.log
	var place [symbols]uint16
	var symbol [mostStates]uint8
	high := size - 1 // the rare ones are behind it
	sum := uint16(0)
	for i, p := range f.norm[:n] {
		place[i] = sum
		s := &f.step[i]
		switch {
		case p == -1:
			symbol[high] = uint8(i)
			high--
			fallthrough
		case p == 1:
			*s = step{uint32(f.log<<16) - uint32(size), int32(sum) - 1}
			sum++
		case p > 1:
			bits := f.log - uint(mathbits.Len16(uint16(p-1))-1)
			*s = step{uint32(bits<<16) - uint32(p)<<bits, int32(sum) - int32(p)}
			sum += uint16(p)
		}
	}
	at, stride := 0, size>>1+size>>3+3
	for i, p := range f.norm[:n] {
		for range p {
			symbol[at] = uint8(i)
			for at = (at + stride) & (size - 1); at > high; {
				at = (at + stride) & (size - 1)
			}
		}
	}
	for u, s := range symbol[:size] {
		f.next[place[s]] = uint16(size + u)
		place[s]++
	}
}

// first is the state from which the symbol that is read last is read.
func (f *fse) first(symbol uint8) uint {
	s := f.step[symbol]
	bits := (s.bits + 1<<15) >> 16
	return uint(f.next[int32((bits<<16-s.bits)>>bits)+s.find])
}

// write writes the bits with which a reader gets from the new state, in which
// it reads the symbol, to the one given.
func (f *fse) write(b bits, state uint, symbol uint8) (bits, uint) {
	s := f.step[symbol]
	n := uint(uint32(state)+s.bits) >> 16 & 15
	b = b.add(uint64(state)&(1<<n-1), n)
	return b, uint(f.next[uint8(int32(state>>n)+s.find)])
}

// last writes the state in which a reader begins.
func (f *fse) last(w *writer, state uint) {
	w.put(uint64(state)&(1<<f.log-1), f.log)
}

// pack writes the weights of a Huffman tree and reports whether it could. Two
// states take turns.
func (f *fse) pack(w *writer, weights []byte) bool {
	var count [maxCode + 1]uint32
	for _, x := range weights {
		count[x]++
	}
	if most := slices.Max(count[:]); int(most) == len(weights) || most == 1 {
		return false
	}
	n := f.fit(count[:], len(weights), mostTree)
	f.describe(w, n)
	f.build(n)
	i := len(weights) - 1
	last, state := f.first(weights[i]), f.first(weights[i-1])
	b, out := w.bits, w.out
	for i -= 2; i >= 0; i-- {
		var next uint
		b, next = f.write(b, last, weights[i])
		b = b.flush(out)
		last, state = state, next
	}
	w.bits = b
	// The first state is that of the first weight, and read first.
	f.last(w, last)
	f.last(w, state)
	w.end()
	return true
}
