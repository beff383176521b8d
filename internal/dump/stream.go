package dump

import (
	"fmt"
	"os"

	"guestcore/internal/addr"
)

// stream is the Sink of a FIFO or a device: everything is written in order,
// zeros too.
type stream struct {
	f      *os.File
	pos    int64 // bytes written
	copied int64
	zeros  int64
}

func (s *stream) Seekable() bool { return false }

func (s *stream) stats() Stats { return Stats{Copied: s.copied, Zeros: s.zeros, Size: s.pos} }

func (s *stream) WriteAt(p []byte, off int64) (int, error) {
	if err := s.fill(off); err != nil {
		return 0, err
	}
	n, err := s.f.Write(p)
	s.pos += int64(n)
	s.copied += int64(n)
	if err != nil {
		err = writeError(s.pos, err)
	}
	return n, err
}

func (s *stream) CopyAt(off int64, src addr.Source, srcOff, n int64) (int64, error) {
	return copyTo(s, off, src, srcOff, n)
}

func (s *stream) HoleAt(off, n int64) error {
	return s.fill(off + n)
}

// fill writes zeros up to off.
func (s *stream) fill(off int64) error {
	if off < s.pos {
		return fmt.Errorf("writing at offset %#x after %#x: a pipe cannot go back; write to a file", off, s.pos)
	}
	for s.pos < off {
		n, err := s.f.Write(zeros[:min(int64(len(zeros)), off-s.pos)])
		s.pos += int64(n)
		s.zeros += int64(n)
		if err != nil {
			return writeError(s.pos, err)
		}
	}
	return nil
}
