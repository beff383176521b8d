package zpage

import mathbits "math/bits"

// What a sequence is made of; for each there is an FSE table.
const (
	literalLengths = iota
	offsets
	repeatLengths
	kinds
)

// How a table is given, in two bits for each.
const (
	predefinedTable = 0
	oneSymbol       = 1
	ownTable        = 2
)

// predefined are the tables of the format (RFC 8878, 3.1.1.3.2.2).
var predefined = func() (t [kinds]fse) {
	t[literalLengths].set([]int16{
		4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1,
		2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
	}, 6)
	t[offsets].set([]int16{
		1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
	}, 5)
	t[repeatLengths].set([]int16{
		1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
	}, 6)
	return t
}()

// The codes of small numbers and, by code, the bits that are written besides.
var (
	literalCodes, literalBits = codesOf(16, 64, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
	repeatCodes, repeatBits   = codesOf(32, 128, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
)

// codesOf are the codes of numbers below n: those below plain are their own,
// the further codes stand for as many numbers as their bits tell apart.
func codesOf(plain, n int, more ...uint8) (codes [128]uint8, bits [64]uint8) {
	copy(bits[plain:], more)
	for v, code := 0, 0; v < n; code++ {
		for range 1 << bits[code] {
			if v < n {
				codes[v] = uint8(code)
			}
			v++
		}
	}
	return codes, bits
}

// coder writes the sequences of a block.
type coder struct {
	codes [][kinds]uint8 // of each sequence
	own   [kinds]fse
	one   [kinds]fse // of one symbol: a state takes no bits
	count [kinds][symbols]uint32
}

// write writes the sequences section.
func (c *coder) write(w *writer, seqs []sequence) {
	switch n := len(seqs); {
	case n < 1<<7:
		w.bytes(uint64(n), 1)
	case n < 0x7f00:
		w.bytes(uint64(n>>8+1<<7|n&0xff<<8), 2)
	default:
		w.bytes(uint64(0xff|(n-0x7f00)<<8), 3)
	}
	if len(seqs) == 0 {
		return
	}
	c.encode(seqs)
	modes := w.at
	w.at++
	mode := 0
	var tables [kinds]*fse
	for kind := range kinds {
		var how int
		tables[kind], how = c.table(w, kind, len(seqs))
		mode |= how << (6 - 2*kind)
	}
	w.out[modes] = byte(mode)
	c.stream(w, seqs, &tables)
}

// encode finds the codes and counts them.
func (c *coder) encode(seqs []sequence) {
	c.count = [kinds][symbols]uint32{}
	c.codes = c.codes[:0]
	for _, s := range seqs {
		var x [kinds]uint8
		if n := s.literals; n < 64 {
			x[literalLengths] = literalCodes[n]
		} else {
			x[literalLengths] = uint8(mathbits.Len32(n) + 18)
		}
		if n := s.length - 3; n < 128 {
			x[repeatLengths] = repeatCodes[n]
		} else {
			x[repeatLengths] = uint8(mathbits.Len32(n) + 35)
		}
		x[offsets] = uint8(mathbits.Len32(s.offset) - 1)
		c.count[literalLengths][x[literalLengths]]++
		c.count[offsets][x[offsets]]++
		c.count[repeatLengths][x[repeatLengths]]++
		c.codes = append(c.codes, x)
	}
}

// table chooses the table for one of the kinds and writes what readers need to
// make it.
func (c *coder) table(w *writer, kind, n int) (*fse, int) {
	count := &c.count[kind]
	std := &predefined[kind]
	least := std.cost(count[:])
	if first := c.codes[0][kind]; int(count[first]) == n {
		if least <= 8<<8 {
			return std, predefinedTable
		}
		w.bytes(uint64(first), 1)
		one := &c.one[kind]
		one.step[first] = step{}
		return one, oneSymbol
	}
	own := &c.own[kind]
	known := own.fit(count[:], n, mostLog)
	start := w.at
	own.describe(w, known)
	if own.cost(count[:known])+(w.at-start)<<(8+3) >= least {
		w.at = start
		return std, predefinedTable
	}
	own.build(known)
	return own, ownTable
}

// stream writes the sequences, the last one first.
func (c *coder) stream(w *writer, seqs []sequence, tables *[kinds]*fse) {
	ll, of, rl := tables[literalLengths], tables[offsets], tables[repeatLengths]
	b, out := w.bits, w.out
	i := len(seqs) - 1
	x := c.codes[i]
	llState, ofState, rlState := ll.first(x[literalLengths]), of.first(x[offsets]), rl.first(x[repeatLengths])
	for {
		s := seqs[i]
		n := uint(literalBits[x[literalLengths]&63]) & 31
		b = b.add(uint64(s.literals)&(1<<n-1), n)
		n = uint(repeatBits[x[repeatLengths]&63]) & 31
		b = b.add(uint64(s.length-3)&(1<<n-1), n).flush(out)
		n = uint(x[offsets]) & 31
		b = b.add(uint64(s.offset)&(1<<n-1), n)
		if i--; i < 0 {
			break
		}
		x = c.codes[i]
		b, ofState = of.write(b, ofState, x[offsets])
		b, rlState = rl.write(b, rlState, x[repeatLengths])
		b, llState = ll.write(b, llState, x[literalLengths])
		b = b.flush(out)
	}
	w.bits = b.flush(out)
	rl.last(w, rlState)
	of.last(w, ofState)
	ll.last(w, llState)
	w.end()
}
