package dump

import (
	"io"
	"sync"

	"guestcore/internal/addr"
)

// bufferSize is what is read at once, in bytes.
const bufferSize = 4 << 20

// buffers are for copies by hand. Go puts what is as large at the beginning of
// a page, where direct I/O wants it.
var buffers = sync.Pool{New: func() any { return new([bufferSize + directAlign]byte) }}

// Sizes of what is read, tested for zeros and written at once, in bytes: as
// much as the processor's cache keeps between the three, and for the disk as
// much as it takes well. The last two are the zeros that are rather written
// than have the disk do one more write.
const (
	cachedPiece = 256 << 10
	directPiece = bufferSize
	cachedGap   = zeroPage
	directGap   = 64 << 10
)

// copyByHand reads, leaves zeros out as [Sparse] has it, and writes. It
// returns how far it came.
func (s *regular) copyByHand(off int64, src addr.Source, srcOff, n int64, w way) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	piece, gap := int64(cachedPiece), cachedGap
	if w == direct {
		piece, gap = directPiece, directGap
	}
	if s.sparse == SparseAlways {
		gap = zeroPage
	}
	buf := buffers.Get().(*[bufferSize + directAlign]byte)
	defer buffers.Put(buf)
	for done := int64(0); done < n; {
		// In memory the bytes lie to a page as they do in the file.
		part := buf[(off+done)%directAlign:][:min(piece, n-done)]
		m, rerr := src.ReadAt(part, srcOff+done)
		wrote, err := s.write(part[:m], off+done, gap, w)
		done += int64(wrote)
		if err != nil {
			return done, err
		}
		if m < len(part) {
			return done, readError(src, srcOff+done, rerr)
		}
	}
	return n, nil
}

// write writes what is not zero. It returns how far it came.
func (s *regular) write(p []byte, off int64, gap int, w way) (int, error) {
	if s.sparse == SparseNever {
		return s.put(p, off, w)
	}
	at := 0
	for start, end := range nonZero(p, off, gap) {
		s.holes.Add(int64(start - at))
		n, err := s.put(p[start:end], off+int64(start), w)
		if err != nil {
			return start + n, err
		}
		at = end
	}
	s.holes.Add(int64(len(p) - at))
	return len(p), nil
}

// put writes p, around the page cache if that is to be and can be.
func (s *regular) put(p []byte, off int64, w way) (int, error) {
	if w == cached || !s.direct.takes(int64(len(p))) {
		return s.WriteAt(p, off)
	}
	head := int(-off & (directAlign - 1))
	done, err := s.WriteAt(p[:head], off)
	if err != nil {
		return done, err
	}
	n, err := s.direct.write(p[done:], off+int64(done))
	s.copied.Add(int64(n))
	done += n
	if err != nil {
		return done, err
	}
	n, err = s.WriteAt(p[done:], off+int64(done))
	return done + n, err
}

// copyTo reads and writes. It returns how many bytes were written.
func copyTo(dst io.WriterAt, off int64, src addr.Source, srcOff, n int64) (int64, error) {
	buf := buffers.Get().(*[bufferSize + directAlign]byte)
	defer buffers.Put(buf)
	for done := int64(0); done < n; {
		part := buf[:min(cachedPiece, n-done)]
		m, rerr := src.ReadAt(part, srcOff+done)
		w, err := dst.WriteAt(part[:m], off+done)
		done += int64(w)
		if err != nil {
			return done, err
		}
		if m < len(part) {
			return done, readError(src, srcOff+done, rerr)
		}
	}
	return n, nil
}
