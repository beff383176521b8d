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
)

// scan looks through all guest memory for the headers of VMCOREINFO notes, at
// any multiple of four: kernels before 4.13 kept theirs in .bss, later ones
// have a page for it. Memory that the source lacks, and holes of it, are not
// read. The addresses are in order.
func scan(ctx context.Context, im *guest.Image, p Progress) ([]addr.GPA, error) {
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
		return nil, err
	}
	slices.SortFunc(s.found, func(a, b addr.GPA) int { return cmp.Compare(a, b) })
	return s.found, nil
}

// scanner gathers what the workers find.
type scanner struct {
	image    *guest.Image
	progress Progress

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
			if err != nil && uint64(read) < size {
				return err
			}
			s.block(a, buf[:read], int(size))
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
