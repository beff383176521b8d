package dump

import (
	"bytes"
	"iter"
	"os"
)

// zeros is what zero bytes are compared with, and what is written for a hole
// where there can be none.
var zeros [1 << 20]byte

// IsZero reports whether all bytes of p are zero. bytes.Equal stops at the
// first that is not and otherwise goes through 4 KiB faster than memory
// delivers them.
func IsZero(p []byte) bool {
	for ; len(p) > len(zeros); p = p[len(zeros):] {
		if !bytes.Equal(p[:len(zeros)], zeros[:]) {
			return false
		}
	}
	return bytes.Equal(p, zeros[:len(p)])
}

// zeroPage is the unit of the search for zeros, in bytes: the page of most
// guests and the block of most file systems.
const zeroPage = 4096

// nonZero goes through the parts of p that hold something, as start and end.
// Parts begin and end at pages of a file in which p lies at off; zeros shorter
// than gap bytes do not part them.
func nonZero(p []byte, off int64, gap int) iter.Seq2[int, int] {
	return func(yield func(start, end int) bool) {
		start, end := -1, 0 // of the part so far
		for at := 0; at < len(p); {
			next := min(len(p), at+zeroPage-int((off+int64(at))%zeroPage))
			switch zero := IsZero(p[at:next]); {
			case zero:
			case start >= 0 && (at-end < gap || at == end):
				end = next
			default:
				if start >= 0 && !yield(start, end) {
					return
				}
				start, end = at, next
			}
			at = next
		}
		if start >= 0 {
			yield(start, end)
		}
	}
}

// anyZero looks at a few pages of a file and reports whether one of them is
// zero, so that looking at all of them is worthwhile. A page that cannot be
// read is none.
func anyZero(src *os.File, off, n int64) bool {
	const looks = 8
	var page [zeroPage]byte
	step := max(zeroPage, n/looks&^(zeroPage-1))
	for at := int64(0); at+zeroPage <= n; at += step {
		if m, _ := src.ReadAt(page[:], off+at); m == zeroPage && IsZero(page[:]) {
			return true
		}
	}
	return false
}
