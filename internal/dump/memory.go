package dump

import (
	"fmt"
	"io"
	"iter"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Part is a piece of guest memory, by what is known of it unread.
type Part struct {
	Addr addr.GPA
	Size uint64 // bytes
	Zero bool   // nothing stores it: a hole of a file, or known to be zero
}

// Parts goes through a range of guest memory in order. It asks the files for
// their holes and reads nothing. An error is the last of it and names the
// guest address: memory that the image lacks, a file that ends early.
func Parts(im *guest.Image, r guest.Range) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		for _, e := range im.Map.Clip(r.Addr, r.Size) {
			switch e.Kind {
			case extent.Zero:
				if !yield(Part{e.Addr, e.Size, true}, nil) {
					return
				}
			case extent.Data:
				if !dataParts(im, e, yield) {
					return
				}
			default:
				yield(Part{}, fmt.Errorf("guest memory at %#x is not in the source", uint64(e.Addr)))
				return
			}
		}
	}
}

// dataParts yields the holes of an extent and what is between them, and
// reports whether to go on.
func dataParts(im *guest.Image, e extent.Extent[addr.GPA, addr.FileOff], yield func(Part, error) bool) bool {
	if e.Off.File() >= len(im.Files) {
		yield(Part{}, fmt.Errorf("guest memory at %#x: %v, there are %d files", uint64(e.Addr), e.Off, len(im.Files)))
		return false
	}
	src := im.Files[e.Off.File()]
	for done := int64(0); done < int64(e.Size); {
		hole, data, err := nextData(src, e.Off.Offset()+done, int64(e.Size)-done)
		if err != nil {
			yield(Part{}, fmt.Errorf("guest memory at %#x: %w", uint64(e.Addr)+uint64(done+hole), err))
			return false
		}
		a := e.Addr + addr.GPA(done)
		if hole > 0 && !yield(Part{a, uint64(hole), true}, nil) {
			return false
		}
		if data > 0 && !yield(Part{a + addr.GPA(hole), uint64(data), false}, nil) {
			return false
		}
		done += hole + data
	}
	return true
}

// Stored is how many bytes of the ranges are stored in the image's files and
// thus need room in a file that keeps holes.
func Stored(im *guest.Image, ranges []guest.Range) (int64, error) {
	total := int64(0)
	for _, r := range ranges {
		for p, err := range Parts(im, r) {
			if err != nil {
				return 0, err
			}
			if !p.Zero {
				total += int64(p.Size)
			}
		}
	}
	return total, nil
}

// ReadMemory reads guest memory from a on into p. What the guest has no
// memory for becomes zero; what the image lacks of the rest is an error that
// names the guest address.
func ReadMemory(im *guest.Image, p []byte, a addr.GPA) error {
	done := 0
	for _, e := range im.Map.Clip(a, uint64(len(p))) {
		at := int(e.Addr - a)
		clear(p[done:at])
		done = at + int(e.Size)
		part := p[at:done]
		switch e.Kind {
		case extent.Zero:
			clear(part)
		case extent.Data:
			src := im.Files[e.Off.File()]
			n, err := src.ReadAt(part, e.Off.Offset())
			if n < len(part) {
				if err == nil {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("guest memory at %#x: %w", uint64(e.Addr)+uint64(n), readError(src, e.Off.Offset()+int64(n), err))
			}
		default:
			return fmt.Errorf("guest memory at %#x is not in the source", uint64(e.Addr))
		}
	}
	clear(p[done:])
	return nil
}
