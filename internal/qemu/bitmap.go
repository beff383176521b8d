package qemu

import (
	"fmt"
	"iter"
	"math/bits"

	"guestcore/internal/addr"
)

// bitmap is one of QEMU's bitmaps of a RAM block (include/qemu/bitmap.h): an
// array of C's unsigned long, filled from the lowest bit of the first one on.
// A bit stands for a piece of the block.
type bitmap struct {
	words []uint64
	width uint64 // bits in a word
	n     uint64 // bits in all
	piece uint64 // bytes of memory a bit stands for
}

// bitmapRead is how much of a bitmap is read at once, bytes: one whose size is
// nonsense ends at the first page that is not there.
const bitmapRead = 1 << 16

// readBitmap reads the bitmap of n bits at a.
func (vm *VM) readBitmap(a addr.HVA, n, piece uint64) (bitmap, error) {
	size := uint64(vm.space.PointerSize)
	b := bitmap{width: 8 * size, n: n, piece: piece}
	buf := make([]byte, bitmapRead)
	for left := (n + b.width - 1) / b.width * size; left > 0; {
		part := buf[:min(left, bitmapRead)]
		if _, err := vm.space.Mem.ReadAt(part, int64(a)); err != nil {
			return bitmap{}, fmt.Errorf("bitmap at %#x: %w", uint64(a), err)
		}
		for i := 0; i < len(part); i += int(size) {
			b.words = append(b.words, vm.space.Word(part[i:]))
		}
		a, left = a+addr.HVA(len(part)), left-uint64(len(part))
	}
	return b, nil
}

func (b bitmap) has(i uint64) bool { return b.words[i/b.width]>>(i%b.width)&1 != 0 }

// count is the number of bits that are set.
func (b bitmap) count() uint64 {
	n := 0
	for i, w := range b.words {
		if left := b.n - uint64(i)*b.width; left < b.width {
			w &= 1<<left - 1
		}
		n += bits.OnesCount64(w)
	}
	return uint64(n)
}

// stretch is a part of a RAM block, its start and end in bytes.
type stretch struct{ start, end uint64 }

// runs are the parts of [start, end) whose bits are as set says, as long as
// they can be. What lies behind the last bit is not set.
func (b bitmap) runs(start, end uint64, set bool) iter.Seq[stretch] {
	return func(yield func(stretch) bool) {
		for at := start; at < end; {
			is := b.isSet(at)
			r := stretch{at, at}
			for r.end < end && b.isSet(r.end) == is {
				r.end = min(end, (r.end/b.piece+1)*b.piece)
			}
			if is == set && !yield(r) {
				return
			}
			at = r.end
		}
	}
}

func (b bitmap) isSet(at uint64) bool {
	i := at / b.piece
	return i < b.n && b.has(i)
}
