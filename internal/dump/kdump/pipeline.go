package kdump

import "context"

// pipeline is the way of the batches: one goroutine finds them, several read
// and compress them, each one batch at a time, and write it when it is its
// turn, in the order in which they were found. Who compresses a batch also
// writes it, as it is still in that processor's cache.
//
//	feed ──► found ──► work, turn, put
//	             ├───► work, turn, put
//	             └───► …
//
// Both, feed and run, return when ctx is done, with its cause.
type pipeline struct {
	found chan numbered
	turns []chan struct{} // batch i waits for that of i modulo their number
}

// numbered is a batch and its place in the order.
type numbered struct {
	batch
	i int
}

// newPipeline is for so many calls of run.
func newPipeline(workers int) *pipeline {
	l := &pipeline{make(chan numbered, workers), make([]chan struct{}, workers)}
	for i := range l.turns {
		l.turns[i] = make(chan struct{}, 1)
	}
	l.turns[0] <- struct{}{}
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

// run takes one batch after the other and gives it to work, and then, when all
// batches before it were put, to put. It returns nil when there are no more.
func (l *pipeline) run(ctx context.Context, work, put func(batch) error) error {
	for b := range l.found {
		if err := work(b.batch); err != nil {
			return err
		}
		select {
		case <-l.turns[b.i%len(l.turns)]:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // though it be our turn
			return context.Cause(ctx)
		}
		if err := put(b.batch); err != nil {
			return err
		}
		// Whoever has a batch waits for a turn of its own: nobody is as many
		// batches ahead as there are turns.
		l.turns[(b.i+1)%len(l.turns)] <- struct{}{}
	}
	return nil
}
