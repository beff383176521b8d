package dump

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
)

// regular is the Sink of a file that is a plain file, empty at first and as
// long as the plan says, if it does: what nobody writes is a hole.
type regular struct {
	f       *os.File
	direct  *directFile // the same file around the page cache, nil: not
	block   int64       // the file system's, bytes
	sparse  Sparse
	log     *slog.Logger
	copied  atomic.Int64
	shared  atomic.Int64
	holes   atomic.Int64
	pace    *pacer     // which way data goes, nil: all the same
	cached  sync.Mutex // held by who writes through the page cache
	noShare sync.Map   // *os.File of a source whose blocks cannot be shared
	noRange sync.Map   // *os.File of a source that the kernel does not copy from
}

// newRegular makes the sink of a file that will hold so many bytes of data.
func newRegular(f *os.File, size, data int64, o FileOptions) (*regular, error) {
	// Cutting an empty file to nothing would have ext4 write it out when it is
	// closed (auto_da_alloc): it takes that for a file about to be replaced.
	if size > 0 {
		if err := f.Truncate(size); err != nil {
			return nil, fmt.Errorf("making a file of %d bytes: %w", size, cause(err))
		}
	}
	s := &regular{f: f, block: blockSize(f), sparse: o.Sparse, log: o.Log}
	switch {
	case o.Direct == DirectOn:
		s.direct = openDirect(f, directAlign, o.Log)
	case o.Direct == DirectAuto && data >= directWorth && onDisk(f):
		s.direct = openDirect(f, directRun, o.Log)
		s.pace = newPacer(time.Now)
	}
	return s, nil
}

// close ends what the sink has opened itself.
func (s *regular) close() {
	if s.direct != nil {
		s.direct.f.Close()
	}
}

func (s *regular) Seekable() bool { return true }

// stats asks the file for its length, so it has to be open.
func (s *regular) stats() (Stats, error) {
	fi, err := s.f.Stat()
	if err != nil {
		return Stats{}, fmt.Errorf("asking for the length of the file: %w", cause(err))
	}
	st := Stats{Copied: s.copied.Load(), Reflinked: s.shared.Load(), Holes: s.holes.Load(), Size: fi.Size()}
	if s.direct != nil {
		st.Direct = s.direct.written.Load()
	}
	if s.sparse == SparseNever {
		st.Holes, st.Zeros = 0, st.Holes
	}
	return st, nil
}

// cachedWrite is the most that one call writes through the page cache, in
// bytes, up to a multiple of it in the file. The kernel takes memory for a call
// in one piece; up to this size it has some at hand that was just free, more it
// has to look for, which at worst takes as many times as long as the copy.
const cachedWrite = 32 << 10

// WriteAt writes through the page cache. File systems let in one writer of a
// file at a time; the others wait here, where that takes no processor.
func (s *regular) WriteAt(p []byte, off int64) (int, error) {
	s.cached.Lock()
	defer s.cached.Unlock()
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n, err := s.f.WriteAt(p[done:min(len(p), done+int(cachedWrite-at%cachedWrite))], at)
		done += n
		s.copied.Add(int64(n))
		if err != nil {
			return done, writeError(off+int64(done), err)
		}
	}
	return done, nil
}

func (s *regular) HoleAt(off, n int64) error {
	s.holes.Add(n)
	return nil
}

// CopyAt copies what src stores and leaves its holes as holes.
func (s *regular) CopyAt(off int64, src addr.Source, srcOff, n int64) (int64, error) {
	for done := int64(0); done < n; {
		hole, data, err := nextData(src, srcOff+done, n-done)
		s.holes.Add(hole)
		done += hole
		if err != nil {
			return done, err
		}
		m, err := s.move(off+done, src, srcOff+done, data)
		done += m
		if err != nil {
			return done, err
		}
	}
	return n, nil
}

// short is a run of data that is not worth reading, in bytes: the kernel
// copies it.
const short = 128 << 10

// move copies data, the way that is best for it.
func (s *regular) move(off int64, src addr.Source, srcOff, n int64) (int64, error) {
	if s.direct.takes(n) && (s.pace == nil || s.pace.next(n) == direct) {
		return s.copyByHand(off, src, srcOff, n, direct)
	}
	var done int64
	if f, ok := src.(*os.File); ok && s.inKernel(f, srcOff, n) {
		done = s.copyInKernel(off, f, srcOff, n)
	}
	m, err := s.copyByHand(off+done, src, srcOff+done, n-done, cached)
	return done + m, err
}

// inKernel reports whether the kernel is to copy data: it is twice as fast as
// we are and sees no zeros.
func (s *regular) inKernel(src *os.File, srcOff, n int64) bool {
	if _, no := s.noRange.Load(src); no {
		return false
	}
	switch s.sparse {
	case SparseAlways:
		return false
	case SparseNever:
		return true
	}
	return n < short || !anyZero(src, srcOff, n)
}

// copyInKernel copies as far as the kernel does. Whatever it did not like,
// doing it by hand either works or says which of the two files is to blame.
func (s *regular) copyInKernel(off int64, src *os.File, srcOff, n int64) int64 {
	s.cached.Lock()
	defer s.cached.Unlock()
	done, err := copyRange(s.f, off, src, srcOff, n)
	if err != nil {
		s.noRange.Store(src, true)
		s.log.Debug("no copy inside the kernel", "source", src.Name(), "why", err)
	}
	s.copied.Add(done)
	return done
}

// allocate gives what is still a hole its place on the disk. Where the file
// system cannot, zeros are written there.
func (s *regular) allocate(size int64) error {
	if size == 0 || unix.Fallocate(int(s.f.Fd()), 0, 0, size) == nil {
		return nil
	}
	for at := int64(0); at < size; {
		hole, data, err := nextData(s.f, at, size-at)
		if err != nil {
			return err
		}
		for end := at + hole; at < end; {
			n, err := s.f.WriteAt(zeros[:min(int64(len(zeros)), end-at)], at)
			at += int64(n)
			if err != nil {
				return writeError(at, err)
			}
		}
		at += data
	}
	return nil
}
