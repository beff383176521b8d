package kdump

import (
	"context"
	"sync"
)

// pipeline is the way of the batches: one goroutine finds them, several read
// and compress them, each one batch at a time. They are written in the order
// in which they were found: whoever has the next one ready writes it and all
// that are ready behind it, while the others go on.
//
//	feed ──► found ──► work ──► ready ──► put
//	             ├───► work ──► ready
//	             └───► …
//
// Both, feed and run, return when ctx is done, with its cause.
type pipeline struct {
	found chan numbered
	free  chan *bundle // of which nobody has need

	mu    sync.Mutex
	ready []*bundle // that of batch i at i modulo their number; nil: not ready
	next  int       // the batch to be put next, or being put
}

// numbered is a batch and its place in the order.
type numbered struct {
	batch
	i int
}

// newPipeline is for batches of which so many are in work at a time.
func newPipeline(bundles int) *pipeline {
	l := &pipeline{found: make(chan numbered, bundles), free: make(chan *bundle, bundles), ready: make([]*bundle, bundles)}
	for range bundles {
		l.free <- &bundle{}
	}
	return l
}

// feed takes what scan finds.
func (l *pipeline) feed(ctx context.Context, scan func(emit func(batch) error) error) error {
	defer close(l.found)
	i := 0
	return scan(func(b batch) error {
		select {
		case l.found <- numbered{b, i}:
			i++
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// run takes one batch after the other and gives it to work, and to put those
// whose turn it is. It returns nil when there are no more.
func (l *pipeline) run(ctx context.Context, work, put func(*bundle) error) error {
	for {
		// The bundle first: who has the first of all batches has one, and thus
		// comes to an end.
		var u *bundle
		select {
		case u = <-l.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b, more := <-l.found
		if !more {
			l.free <- u
			return nil
		}
		u.batch = b.batch
		if err := work(u); err != nil {
			return err
		}
		if err := l.put(ctx, b.i, u, put); err != nil {
			return err
		}
	}
}

// put has batch i ready. If it is the next, it is put, and so are those ready
// behind it; if not, somebody else will do that.
func (l *pipeline) put(ctx context.Context, i int, u *bundle, put func(*bundle) error) error {
	l.mu.Lock()
	l.ready[i%len(l.ready)] = u
	u = l.turn()
	l.mu.Unlock()
	for u != nil {
		if ctx.Err() != nil { // though it be its turn
			return context.Cause(ctx)
		}
		if err := put(u); err != nil {
			return err
		}
		done := u
		l.mu.Lock()
		l.next++
		u = l.turn()
		l.mu.Unlock()
		l.free <- done
	}
	return nil
}

// turn takes the bundle of the next batch; nil if it is not ready, or taken
// already. The caller holds mu.
func (l *pipeline) turn() *bundle {
	at := l.next % len(l.ready)
	u := l.ready[at]
	l.ready[at] = nil
	return u
}
