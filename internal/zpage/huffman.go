package zpage

import "encoding/binary"

const (
	maxCode = 11 // bits, of the longest Huffman code that the format has

	// Kinds of a literals section, in its header.
	rawLiterals        = 0
	rleLiterals        = 1
	compressedLiterals = 2

	oneStream = 1023 // literals that one stream has at most
	fewest    = 32   // literals that are tried to be compressed

	// worth is what compressed literals save at least: one byte, and this part
	// of them, for decoders are faster without.
	worth = 64
)

// huffman writes the literals of a block.
type huffman struct {
	count  [256]uint32
	codes  [256]code
	sorted [256]uint32 // count<<8 + byte, of bytes that are there
	spare  [256]uint32
	class  [256]uint8 // of those in sorted, by their counts
	tree   fse        // of the weights
}

// code is a byte's Huffman code.
type code struct {
	value uint16
	size  uint16 // bits, 0: the byte is not there
}

// write writes the literals section.
func (h *huffman) write(w *writer, lits []byte) {
	if len(lits) >= fewest {
		switch present := h.histogram(lits); {
		case present == 1:
			plainHeader(w, rleLiterals, len(lits))
			w.bytes(uint64(lits[0]), 1)
			return
		case h.flat(len(lits)):
		case h.compress(w, lits, present):
			return
		}
	}
	plainHeader(w, rawLiterals, len(lits))
	w.at += copy(w.out[w.at:], lits)
}

// plainHeader is the header of literals that are not compressed.
func plainHeader(w *writer, kind, n int) {
	switch {
	case n < 1<<5:
		w.bytes(uint64(kind|n<<3), 1)
	case n < 1<<12:
		w.bytes(uint64(kind|1<<2|n<<4), 2)
	default:
		w.bytes(uint64(kind|3<<2|n<<4), 3)
	}
}

// histogram counts bytes and returns how many different ones there are.
func (h *huffman) histogram(p []byte) int {
	var odd [256]uint32 // for what follows at once not to wait
	clear(h.count[:])
	n := len(p) &^ 1
	for i := 0; i < n; i += 2 {
		h.count[p[i]]++
		odd[p[i+1]]++
	}
	if n < len(p) {
		odd[p[n]]++
	}
	present := 0
	for i := range h.count {
		h.count[i] += odd[i]
		if c := h.count[i]; c > 0 {
			h.sorted[present] = c<<8 | uint32(i)
			present++
		}
	}
	return present
}

// flat reports whether all bytes are about as frequent, so that no code is
// worth its tree. The squares of n counts sum up to n + n²/256 if bytes are
// random, and to a twentieth more if they have 7.95 bits of entropy.
func (h *huffman) flat(n int) bool {
	sum := 0
	for _, c := range h.count {
		sum += int(c) * int(c)
	}
	return sum < n+n*n/244
}

// compress writes the section compressed, if that is worthwhile.
func (h *huffman) compress(w *writer, lits []byte, present int) bool {
	sorted := h.sort(present)
	longest := h.lengths(sorted)
	most := len(lits) - len(lits)/worth - 2
	if h.assign(longest)/8 >= most {
		return false
	}
	start := w.at
	// The header says how many streams there are and how long the lengths in it
	// are.
	format, header := 0, 3
	switch {
	case len(lits) >= 1<<14:
		format, header = 3, 5
	case len(lits) > oneStream:
		format, header = 2, 4
	}
	w.at += header
	if !h.writeTree(w, longest) {
		w.at = start
		return false
	}
	if format == 0 {
		h.stream(w, lits)
	} else {
		h.fourStreams(w, lits)
	}
	n := w.at - start - header
	if n >= most {
		w.at = start
		return false
	}
	lengths := uint64(len(lits)) | uint64(n)<<(4*header-2)
	for i, head := 0, compressedLiterals|uint64(format)<<2|lengths<<4; i < header; i++ {
		w.out[start+i] = byte(head >> (8 * i))
	}
	return true
}

// writeTree describes the code: for each byte but the last that is there, which
// readers can tell, a weight, which is longest+1 minus the bits.
func (h *huffman) writeTree(w *writer, longest int) bool {
	var weights [256]byte
	last := 0
	for i, c := range h.codes {
		if c.size > 0 {
			weights[i] = byte(longest + 1 - int(c.size))
			last = i
		}
	}
	const most = 128 // weights as they are, and bytes of compressed ones
	start := w.at
	w.at++
	if last > fewest && h.tree.pack(w, weights[:last]) {
		if n := w.at - start - 1; n < most && (last > most || n < (last+1)/2) {
			w.out[start] = byte(n)
			return true
		}
	}
	w.at = start
	if last > most {
		return false
	}
	w.bytes(uint64(most-1+last), 1)
	for i := 0; i < last; i += 2 {
		w.bytes(uint64(weights[i]<<4|weights[i+1]), 1)
	}
	return true
}

// fourStreams writes a table of three lengths, then a quarter of the literals
// each.
func (h *huffman) fourStreams(w *writer, lits []byte) {
	table := w.at
	w.at += 6
	quarter := (len(lits) + 3) / 4
	for i := range 4 {
		from := w.at
		n := min(quarter, len(lits))
		h.stream(w, lits[:n])
		lits = lits[n:]
		if i < 3 {
			binary.LittleEndian.PutUint16(w.out[table+2*i:], uint16(w.at-from))
		}
	}
}

// stream writes the codes of lits, the last one first.
func (h *huffman) stream(w *writer, lits []byte) {
	b, out, codes := w.bits, w.out, &h.codes
	n := len(lits)
	for ; n%4 != 0; n-- {
		c := codes[lits[n-1]]
		b = b.add(uint64(c.value), uint(c.size))
	}
	b = b.flush(out)
	for ; n > 0; n -= 4 {
		four := lits[n-4 : n]
		x, y, z, t := codes[four[3]], codes[four[2]], codes[four[1]], codes[four[0]]
		low := uint64(x.value) | uint64(y.value)<<(x.size&63)
		high := uint64(z.value) | uint64(t.value)<<(z.size&63)
		both := uint(x.size + y.size)
		b = b.add(low|high<<(both&63), both+uint(z.size+t.size)).flush(out)
	}
	w.bits = b
	w.end()
}
