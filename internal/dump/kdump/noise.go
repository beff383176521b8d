package kdump

import "encoding/binary"

// What is looked at of a page to tell whether it is noise: words of 8 bytes,
// evenly spread.
const (
	noiseWords = 32
	// noisePairs is how many pairs of equal bytes noise has at most there. Of
	// n = 8*noiseWords bytes it has n(n-1)/2 pairs, one in 256 of them equal:
	// 127.5, with a deviation of the root of that. 170 is 3.8 deviations more,
	// and what bytes with 7.75 bits of entropy have.
	noisePairs = 170
)

// isNoise reports whether the bytes of a page look random, as those of
// encrypted and compressed data do, which no method makes shorter. A page of
// which a part repeats, out of step with the words, is taken for noise too.
func isNoise(page []byte) bool {
	var seen [256]uint32
	pairs := uint32(0)
	step := len(page) / noiseWords
	for at := 0; at+8 <= len(page); at += step {
		for w, i := binary.LittleEndian.Uint64(page[at:]), 0; i < 8; i++ {
			pairs += seen[uint8(w)]
			seen[uint8(w)]++
			w >>= 8
		}
		if pairs > noisePairs {
			return false
		}
	}
	return true
}
