package kdumpfile

import (
	"bytes"
	"fmt"
)

// incomplete is the flag in the main header of a file whose writer ran out of
// space (DUMP_DH_COMPRESSED_INCOMPLETE of makedumpfile): the descriptors of
// pages that it did not come to are zeros.
const incomplete = 0x8

// findLost finds the pages that the file should have and has not.
func (f *File) findLost() error {
	f.lost = newBitmap(nil, 0)
	f.Incomplete = f.Compressed&incomplete != 0
	if cut, err := f.isCut(); err != nil || !cut && !f.Incomplete {
		return err
	}
	lost := make([]byte, len(f.stored.bits))
	index := int64(0)
	var w window
	for at, b := range f.stored.bits {
		for i := range 8 {
			if b>>i&1 == 0 {
				continue
			}
			gone := !f.has(f.descs+index*descSize, descSize)
			if !gone {
				d, err := w.bytes(f.r, f.descs+index*descSize, descSize)
				if err != nil {
					return fmt.Errorf("page descriptor: %w", err)
				}
				p := f.decode(d)
				gone = !f.has(p.Off, p.Size) || f.Incomplete && p == Page{}
			}
			if gone {
				lost[at] |= 1 << i
			}
			index++
		}
	}
	f.lost = newBitmap(lost, f.MaxPage)
	return nil
}

// isCut reports whether the file ends before all pages came.
func (f *File) isCut() (bool, error) {
	switch {
	case f.Cut:
		return true, nil
	case f.has(f.descs, f.stored.count*descSize):
		last, err := f.lastData()
		return last > f.size, err
	case f.Flattened:
		return false, &FormatError{f.descs, fmt.Sprintf("the file ends before the last of %d page descriptors", f.stored.count)}
	}
	return true, nil
}

// has reports whether the file has n bytes at off.
func (f *File) has(off, n int64) bool {
	if off > f.size-n {
		return false
	}
	return !f.Cut || f.r.(*flat).has(off, n)
}

func (f *File) cutBefore(off, n int64) error {
	return &FormatError{off, fmt.Sprintf("the flattened file is cut short before the %d bytes come that are to be here", n)}
}

// lastData is where the data of the last page end that is not, as those behind
// it, the one that stands for pages of zeros: whoever writes a file writes them
// in order. It is 0 if all pages are the same.
func (f *File) lastData() (end int64, err error) {
	var last []byte
	buf := make([]byte, windowSize/descSize*descSize)
	for n := f.stored.count; n > 0; {
		some := min(n, int64(len(buf)/descSize))
		n -= some
		b := buf[:some*descSize]
		at := f.descs + n*descSize
		if m, err := f.r.ReadAt(b, at); m < len(b) {
			return 0, fmt.Errorf("page descriptor: %w", readError(at+int64(m), err))
		}
		if last == nil {
			last = bytes.Clone(b[len(b)-descSize:])
			p := f.decode(last)
			end = p.Off + p.Size
		}
		for i := len(b) - descSize; i >= 0; i -= descSize {
			if d := b[i:][:descSize]; !bytes.Equal(d, last) {
				p := f.decode(d)
				return max(end, p.Off+p.Size), nil
			}
		}
	}
	return end, nil
}

// Lost is the memory that the file should have and has not: it is cut short or
// was never finished.
func (f *File) Lost() []Range { return f.lost.ranges(f.BlockSize) }
