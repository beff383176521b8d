package linux

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Progress is told how far a scan is, in bytes of guest memory. Both methods
// may be called by any goroutine.
type Progress interface {
	Start(total int64)
	Add(n int64)
}

const (
	scanPiece = 16 << 20  // what a worker takes at once, bytes
	scanBlock = 256 << 10 // what it reads at once: a cache's worth
	// maxFound bounds what comes of a scan. Page caches hold dump files, and
	// those hold notes.
	maxFound = 4096
	// maxUnread is how much memory that cannot be read a scan passes over,
	// bytes. More is a source that is gone.
	maxUnread = 1 << 20
	// unreadUnit is how much of it is passed over at once: what a fault takes.
	unreadUnit = 4096
)

// scan looks through guest memory for the headers of VMCOREINFO notes, at any
// multiple of four: kernels before 4.13 kept theirs in .bss, later ones have a
// page for it. Memory that the source lacks, and holes of it, are not read.
//
// It goes from both ends to the middle, as a kernel has what it allocates
// first in low memory or near the end of its first node. It ends before all is
// read if enough says so of a header; which ones it finds does not depend on
// which worker is the fastest. enough is called by several goroutines.
//
// The addresses are in order; unread is how many bytes could not be read.
func scan(ctx context.Context, im *guest.Image, p Progress, enough func(addr.GPA) bool) (found []addr.GPA, unread int64, err error) {
	pieces, total := cut(im)
	p.Start(int64(total))
	s := &scanner{image: im, progress: p, enough: enough}
	s.last.Store(int64(len(pieces)) - 1)
	var next atomic.Int64 // of pieces
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			buf := make([]byte, scanBlock+len(noteName))
			for i := next.Add(1) - 1; i <= s.last.Load(); i = next.Add(1) - 1 {
				if err := s.piece(ctx, i, pieces[i], buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	for _, h := range s.found {
		if h.piece <= s.last.Load() {
			found = append(found, h.addr)
		}
	}
	slices.Sort(found)
	return found, s.unread.Load(), nil
}

// cut returns the memory to be read in pieces, in the order in which they are,
// and how many bytes that is.
func cut(im *guest.Image) (pieces []guest.Range, total uint64) {
	var up []guest.Range
	for _, r := range im.Ranges {
		for _, e := range im.Map.Clip(r.Addr, r.Size) {
			if e.Kind != extent.Data {
				continue
			}
			total += e.Size
			for at := uint64(0); at < e.Size; at += scanPiece {
				up = append(up, guest.Range{Addr: e.Addr + addr.GPA(at), Size: min(e.Size-at, scanPiece)})
			}
		}
	}
	for first, last := 0, len(up)-1; first <= last; first, last = first+1, last-1 {
		pieces = append(pieces, up[first])
		if first < last {
			pieces = append(pieces, up[last])
		}
	}
	return pieces, total
}

// scanner gathers what the workers find.
type scanner struct {
	image    *guest.Image
	progress Progress
	enough   func(addr.GPA) bool
	last     atomic.Int64 // piece that has to be read
	unread   atomic.Int64 // bytes

	mu    sync.Mutex
	found []header
}

// header is where a note may begin.
type header struct {
	piece int64
	addr  addr.GPA
}

// piece looks through piece i of memory, which is one extent's. buf is longer
// than a block by a name.
func (s *scanner) piece(ctx context.Context, i int64, r guest.Range, buf []byte) error {
	a, n := r.Addr, r.Size
	for n > 0 && i <= s.last.Load() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		size := min(n, scanBlock)
		if !s.image.Zero(a, size) {
			// A name may go over the end of the block, or of memory.
			read, err := s.image.ReadAt(buf, int64(a))
			if s.block(i, a, buf[:read], min(read, int(size))) {
				return nil
			}
			if err != nil && uint64(read) < size {
				lost := min(unreadUnit-(uint64(a)+uint64(read))%unreadUnit, size-uint64(read))
				if s.unread.Add(int64(lost)) > maxUnread {
					return err
				}
				size = uint64(read) + lost
			}
		}
		a, n = a+addr.GPA(size), n-size
		s.progress.Add(int64(size))
	}
	return nil
}

// block notes the names in p, which is at a, that begin in its first n bytes.
// It reports whether there is one that is enough.
func (s *scanner) block(piece int64, a addr.GPA, p []byte, n int) bool {
	for at := 0; ; at++ {
		i := bytes.Index(p[at:], []byte(noteName))
		if at += i; i < 0 || at >= n {
			return false
		}
		head := a + addr.GPA(at) - noteNameAt
		if head%4 != 0 || head > a+addr.GPA(at) {
			continue
		}
		if !s.note(header{piece, head}) {
			continue
		}
		if s.enough(head) {
			s.end(piece)
			return true
		}
	}
}

// note takes a header, unless there are too many.
func (s *scanner) note(h header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found) >= maxFound {
		return false
	}
	s.found = append(s.found, h)
	return true
}

// end has no piece behind this one read.
func (s *scanner) end(piece int64) {
	for {
		last := s.last.Load()
		if last <= piece || s.last.CompareAndSwap(last, piece) {
			return
		}
	}
}
