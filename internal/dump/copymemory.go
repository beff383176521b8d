package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// What is done between two looks at the context, in bytes: copied, and shared
// or passed over. Copied pieces are what one of inFlight workers takes.
const (
	copyPiece  = bufferSize
	sharePiece = 1 << 30
)

// inFlight is how many pieces are copied at the same time: enough that some
// are read while the disk writes others.
const inFlight = 4

// CopyMemory writes a range of guest memory at off of the sink: shared with
// its source where the sink can, else copied, several pieces at a time where
// the sink can seek. An error names the guest address, the lowest if there are
// several.
func CopyMemory(ctx context.Context, s Sink, off int64, im *guest.Image, r guest.Range, p Progress) error {
	c := &copier{ctx: ctx, sink: s, progress: p, slots: make(chan struct{}, inFlight)}
	c.sharer, _ = s.(sharer)
	defer c.workers.Wait() // should p panic
	for _, e := range im.Map.Clip(r.Addr, r.Size) {
		if !c.extent(off+int64(e.Addr-r.Addr), im, e) {
			break
		}
	}
	c.workers.Wait()
	switch {
	case c.panicked != nil:
		panic(c.panicked)
	case c.err != nil:
		return fmt.Errorf("guest memory at %#x: %w", uint64(c.at), c.err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

// copier is one call of CopyMemory.
type copier struct {
	ctx      context.Context
	sink     Sink
	sharer   sharer // the sink, nil if it is none
	progress Progress
	workers  sync.WaitGroup
	slots    chan struct{} // one taken by each worker

	mu       sync.Mutex
	err      error    // the one at the lowest address
	at       addr.GPA // that address
	panicked any      // what a worker panicked with
}

// extent copies e to off, or has the workers do so. It returns false when
// there is no use in going on.
func (c *copier) extent(off int64, im *guest.Image, e extent.Extent[addr.GPA, addr.FileOff]) bool {
	switch e.Kind {
	case extent.Zero:
		return c.done(e.Addr, 0, c.sink.HoleAt(off, int64(e.Size)), int64(e.Size))
	case extent.Data:
		src := im.Files[e.Off.File()]
		for at := int64(0); at < int64(e.Size); {
			n := min(sharePiece, int64(e.Size)-at)
			if !c.data(e.Addr+addr.GPA(at), off+at, src, e.Off.Offset()+at, n) {
				return false
			}
			at += n
		}
		return true
	}
	return c.done(e.Addr, 0, errors.New("is not in the source"), 0)
}

// data copies n bytes of src, which are guest memory at a.
func (c *copier) data(a addr.GPA, off int64, src addr.Source, srcOff, n int64) bool {
	if c.stopped() {
		return false
	}
	if f, ok := src.(*os.File); ok && c.sharer != nil {
		if shared, done, err := c.sharer.ShareAt(off, f, srcOff, n); shared {
			return c.done(a, done, err, n)
		}
	}
	for at := int64(0); at < n; {
		hole, data, err := nextData(src, srcOff+at, n-at)
		if hole > 0 || err != nil {
			if err == nil {
				err = c.sink.HoleAt(off+at, hole)
			}
			if !c.done(a+addr.GPA(at), hole, err, hole) {
				return false
			}
			at += hole
		}
		if data == 0 {
			break
		}
		piece := min(copyPiece, n-at) // from data on, with the holes inside
		if !c.copy(a+addr.GPA(at), off+at, src, srcOff+at, piece) {
			return false
		}
		at += piece
	}
	return true
}

// copy copies a piece: now if the sink wants an order, else when a worker is
// free.
func (c *copier) copy(a addr.GPA, off int64, src addr.Source, srcOff, n int64) bool {
	if c.stopped() {
		return false
	}
	if !c.sink.Seekable() {
		done, err := c.sink.CopyAt(off, src, srcOff, n)
		return c.done(a, done, err, n)
	}
	c.slots <- struct{}{}
	c.workers.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.panicked = p
			}
			<-c.slots
		}()
		done, err := c.sink.CopyAt(off, src, srcOff, n)
		c.done(a, done, err, n)
	})
	return true
}

// done takes note of n bytes from a on, or of the error behind some of them.
// It returns false for an error.
func (c *copier) done(a addr.GPA, some int64, err error, n int64) bool {
	if err == nil {
		c.progress.Add(n)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := a + addr.GPA(some); c.err == nil || at < c.at {
		c.err, c.at = err, at
	}
	return false
}

func (c *copier) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.panicked != nil || c.ctx.Err() != nil
}
