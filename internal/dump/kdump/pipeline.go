package kdump

import "context"

// pipeline is the way of the batches: one goroutine finds them, several read
// and compress them, one writes them in the order in which they were found. A
// fixed number of them go round, which bounds the memory.
//
//	feed ──► todo ──► work × n
//	  └────► order ────────────► drain ──► free ──► feed
//
// Of the three, each returns when ctx is done, with its cause.
type pipeline struct {
	free, todo, order chan *batch
}

// newPipeline has room for so many batches.
func newPipeline(batches int) *pipeline {
	l := &pipeline{make(chan *batch, batches), make(chan *batch, batches), make(chan *batch, batches)}
	for range batches {
		l.free <- &batch{ready: make(chan struct{}, 1)}
	}
	return l
}

// feed takes what scan finds. Batches of zeros need no work.
func (l *pipeline) feed(ctx context.Context, scan func(emit func(batch) error) error) error {
	defer close(l.todo)
	defer close(l.order)
	return scan(func(found batch) error {
		select {
		case b := <-l.free:
			b.set(found)
			l.order <- b // as all of them fit
			if b.zero {
				b.ready <- struct{}{}
			} else {
				l.todo <- b
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// work does what there is to do.
func (l *pipeline) work(ctx context.Context, do func(*batch) error) error {
	for b := range l.todo {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := do(b); err != nil {
			return err
		}
		b.ready <- struct{}{}
	}
	return nil
}

// drain gives put the batches in order, each when it is ready. It returns nil
// only if they were all there are, or feed failed.
func (l *pipeline) drain(ctx context.Context, put func(*batch) error) error {
	for b := range l.order {
		select {
		case <-b.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := put(b); err != nil {
			return err
		}
		l.free <- b
	}
	return nil
}
