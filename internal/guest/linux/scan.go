package linux

import (
	"bytes"
	"cmp"
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

// scan looks through all guest memory for the headers of VMCOREINFO notes, at
// any multiple of four: kernels before 4.13 kept theirs in .bss, later ones
// have a page for it. Memory that the source lacks, and holes of it, are not
// read. The addresses are in order; unread is how many bytes could not be read.
func scan(ctx context.Context, im *guest.Image, p Progress) (found []addr.GPA, unread int64, err error) {
	var pieces []extent.Extent[addr.GPA, addr.FileOff]
	var total uint64
	for _, r := range im.Ranges {
		for _, e := range im.Map.Clip(r.Addr, r.Size) {
			if e.Kind != extent.Data {
				continue
			}
			total += e.Size
			for e.Size > 0 {
				piece := e
				piece.Size = min(e.Size, scanPiece)
				pieces = append(pieces, piece)
				e.Addr += addr.GPA(piece.Size)
				e.Size -= piece.Size
			}
		}
	}
	p.Start(int64(total))
	s := &scanner{image: im, progress: p}
	var next atomic.Int64 // of pieces
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			buf := make([]byte, scanBlock+len(noteName))
			for i := next.Add(1); int(i) <= len(pieces); i = next.Add(1) {
				if err := s.piece(ctx, pieces[i-1].Addr, pieces[i-1].Size, buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	slices.SortFunc(s.found, func(a, b addr.GPA) int { return cmp.Compare(a, b) })
	return s.found, s.unread.Load(), nil
}

// scanner gathers what the workers find.
type scanner struct {
	image    *guest.Image
	progress Progress
	unread   atomic.Int64 // bytes

	mu    sync.Mutex
	found []addr.GPA // of headers
}

// piece looks through n bytes of memory, which are one extent's. buf is longer
// than a block by a name.
func (s *scanner) piece(ctx context.Context, a addr.GPA, n uint64, buf []byte) error {
	for n > 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		size := min(n, scanBlock)
		if !s.image.Zero(a, size) {
			// A name may go over the end of the block, or of memory.
			read, err := s.image.ReadAt(buf, int64(a))
			s.block(a, buf[:read], min(read, int(size)))
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
func (s *scanner) block(a addr.GPA, p []byte, n int) {
	for at := 0; ; at++ {
		i := bytes.Index(p[at:], []byte(noteName))
		if at += i; i < 0 || at >= n {
			return
		}
		head := a + addr.GPA(at) - noteNameAt
		if head%4 != 0 || head > a+addr.GPA(at) {
			continue
		}
		s.mu.Lock()
		if len(s.found) < maxFound {
			s.found = append(s.found, head)
		}
		s.mu.Unlock()
	}
}
