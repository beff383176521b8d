package zpage

import mathbits "math/bits"

// sort returns the first n of h.sorted in the order of their counts, the
// rarest first. Counts above 16 are rounded down to four binary digits, which
// is close enough and needs but one pass.
func (h *huffman) sort(n int) []uint32 {
	var at [128]uint16
	for i, s := range h.sorted[:n] {
		class := s >> 8
		if class >= 16 {
			digits := uint32(mathbits.Len32(class))
			class = class >> (digits - 4)
			h.sorted[i] = class<<(digits-4)<<8 | s&0xff
			class += (digits - 4) * 8
		}
		h.class[i] = uint8(class)
		at[class]++
	}
	sum := uint16(0)
	for i, n := range at {
		at[i] = sum
		sum += n
	}
	for i, s := range h.sorted[:n] {
		slot := &at[h.class[i]&127]
		h.spare[*slot] = s
		*slot++
	}
	return h.spare[:n]
}

// lengths gives each byte the length of its Huffman code and returns the
// longest one. It is the algorithm of Moffat and Katajainen, "In-place
// calculation of minimum-redundancy codes" (1995): one array is in turn that of
// the counts, of the parents of inner nodes, and of their depths.
func (h *huffman) lengths(sorted []uint32) (longest int) {
	var nodes [256]uint32
	n := len(sorted)
	a := nodes[:n]
	for i, s := range sorted {
		a[i] = s >> 8
	}
	root, leaf := 0, 0 // the next inner node, the next leaf
	for node := range n - 1 {
		sum := uint32(0)
		for range 2 {
			if leaf >= n || root < node && a[root] < a[leaf] {
				sum += a[root]
				a[root] = uint32(node)
				root++
			} else {
				sum += a[leaf]
				leaf++
			}
		}
		a[node] = sum
	}
	a[n-2] = 0
	for node := n - 3; node >= 0; node-- {
		a[node] = a[a[node]] + 1
	}
	var number [256]int // of codes by length
	free := 1           // nodes of this depth
	for depth, node := 0, n-2; free > 0; depth++ {
		inner := 0
		for ; node >= 0 && int(a[node]) == depth; node-- {
			inner++
		}
		number[depth] = free - inner
		if number[depth] > 0 {
			longest = depth
		}
		free = 2 * inner
	}
	if longest > maxCode {
		shorten(number[:longest+1])
		longest = maxCode
	}
	clear(h.codes[:])
	size := longest
	for _, s := range sorted {
		for number[size] == 0 {
			size--
		}
		number[size]--
		h.codes[byte(s)].size = uint16(size)
	}
	return longest
}

// shorten makes codes longer than maxCode that long, and others longer so that
// all fit.
func shorten(number []int) {
	used := 0 // of the 1<<maxCode codes of that length
	for size, n := range number {
		if size > maxCode {
			number[maxCode] += n
		}
		used += n << (maxCode - min(size, maxCode))
	}
	for ; used > 1<<maxCode; used-- {
		size := maxCode - 1
		for number[size] == 0 {
			size--
		}
		// Below one that was shorter by a bit or more there is room for two, one
		// of which is of a byte whose code was the longest.
		number[size]--
		number[size+1] += 2
		number[maxCode]--
	}
}

// assign gives the codes their values: the longest ones the lowest, those of
// the same length in the order of their bytes. It returns how many bits all
// literals take.
func (h *huffman) assign(longest int) (total int) {
	var number, next [16]uint16
	for i, c := range h.codes {
		number[c.size&15]++
		total += int(c.size) * int(h.count[i])
	}
	first := uint16(0)
	for size := longest; size > 0; size-- {
		next[size] = first
		first = (first + number[size]) >> 1
	}
	for i := range h.codes {
		c := &h.codes[i]
		c.value = next[c.size&15]
		next[c.size&15]++
	}
	return total
}
