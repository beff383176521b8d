package dump

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// regular is the Sink of a file that is a plain file, empty at first and as
// long as the plan says, if it does: what nobody writes is a hole.
type regular struct {
	f       *os.File
	block   int64 // the file system's, bytes
	copied  atomic.Int64
	shared  atomic.Int64
	holes   atomic.Int64
	noShare sync.Map // *os.File of a source whose blocks cannot be shared
	noRange sync.Map // *os.File of a source that the kernel does not copy from
}

func newRegular(f *os.File, size int64) (*regular, error) {
	if err := f.Truncate(size); err != nil {
		return nil, fmt.Errorf("making a file of %d bytes: %w", size, cause(err))
	}
	return &regular{f: f, block: blockSize(f)}, nil
}

func (s *regular) Seekable() bool { return true }

// stats asks the file for its length, so it has to be open.
func (s *regular) stats() (Stats, error) {
	fi, err := s.f.Stat()
	if err != nil {
		return Stats{}, fmt.Errorf("asking for the length of the file: %w", cause(err))
	}
	return Stats{Copied: s.copied.Load(), Reflinked: s.shared.Load(), Holes: s.holes.Load(), Size: fi.Size()}, nil
}

func (s *regular) WriteAt(p []byte, off int64) (int, error) {
	n, err := s.f.WriteAt(p, off)
	s.copied.Add(int64(n))
	if err != nil {
		err = writeError(off+int64(n), err)
	}
	return n, err
}

func (s *regular) HoleAt(off, n int64) error {
	s.holes.Add(n)
	return nil
}

// CopyAt copies what src stores and leaves its holes as holes.
func (s *regular) CopyAt(off int64, src *os.File, srcOff, n int64) (int64, error) {
	for done := int64(0); done < n; {
		hole, data, err := nextData(src, srcOff+done, n-done)
		s.holes.Add(hole)
		done += hole
		if err != nil {
			return done, err
		}
		m, err := s.copyData(off+done, src, srcOff+done, data)
		done += m
		if err != nil {
			return done, err
		}
	}
	return n, nil
}

// copyData shares the whole blocks if the file system can and copies the rest.
func (s *regular) copyData(off int64, src *os.File, srcOff, n int64) (int64, error) {
	before, length := shareable(off, srcOff, n, s.block)
	if _, no := s.noShare.Load(src); no || length == 0 {
		return s.move(off, src, srcOff, n)
	}
	if err := shareRange(s.f, off+before, src, srcOff+before, length); err != nil {
		// No such file system, or blocks beyond the end of a truncated
		// source: moving them either works or says what is wrong.
		s.noShare.Store(src, true)
		return s.move(off, src, srcOff, n)
	}
	s.shared.Add(length)
	if done, err := s.move(off, src, srcOff, before); err != nil {
		return done, err
	}
	behind := before + length
	done, err := s.move(off+behind, src, srcOff+behind, n-behind)
	return behind + done, err
}

// move copies inside the kernel as far as that works and by hand from there.
// Whatever the kernel's copy did not like, doing it by hand either works or
// says which of the two files is to blame.
func (s *regular) move(off int64, src *os.File, srcOff, n int64) (int64, error) {
	done := int64(0)
	if _, no := s.noRange.Load(src); !no {
		var err error
		if done, err = copyRange(s.f, off, src, srcOff, n); err != nil {
			s.noRange.Store(src, true)
		}
		s.copied.Add(done)
	}
	m, err := copyByHand(s, off+done, src, srcOff+done, n-done)
	return done + m, err
}
