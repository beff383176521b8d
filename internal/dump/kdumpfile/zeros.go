package kdumpfile

import "bytes"

// Bounds of what [File.Zeros] tells, bytes.
const (
	zeroChunk = 64 << 10 // it is told of these, from one multiple to the next
	mostData  = 4 << 20  // more is told by the next call
)

// Zeros is how the next n bytes of guest memory begin, by the page descriptors
// alone: so many zeros, then so much that has to be read, the sum at most n.
// There is no data if all n bytes are zeros.
//
// Pages of zeros are told by the one page that the writer has stored for all of
// them. The first ones that are met are not, nor such as are stored each on its
// own.
func (f *File) Zeros(off, n int64) (zeroed, data int64) {
	d := f.decoders.Get().(*decoder)
	defer f.decoders.Put(d)
	z := zeros{decoder: d}
	for at, end := off, off+n; at < end && data < mostData; {
		next := min((at/zeroChunk+1)*zeroChunk, end)
		switch zero := z.all(at, next); {
		case zero && data > 0:
			return zeroed, data
		case zero:
			zeroed += next - at
		default:
			data += next - at
		}
		at = next
	}
	return zeroed, data
}

// zeros tells pages of zeros, in the order of their numbers.
type zeros struct {
	*decoder
	last  Page // that of the page before
	other Page // several pages share it, and it is not zero
}

// all reports whether all pages with bytes from start to end are of zeros. It
// looks no further than the first that is not.
func (z *zeros) all(start, end int64) bool {
	for page := start / z.f.BlockSize; page*z.f.BlockSize < end; page++ {
		if !z.has(page) {
			return false
		}
	}
	return true
}

// has reports whether a page is the one that stands for pages of zeros.
func (z *zeros) has(number int64) bool {
	p, err := z.describe(number)
	if err != nil {
		return false // who reads it meets the error
	}
	if known := z.f.zero.Load(); known != nil && *known == p {
		return true
	}
	shared := p == z.last
	z.last = p
	if !shared || p == z.other {
		return false
	}
	if page, err := z.read(p); err != nil || len(bytes.Trim(page, "\x00")) > 0 {
		z.other = p
		return false
	}
	z.f.zero.Store(&p)
	return true
}
