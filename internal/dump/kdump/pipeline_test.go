package kdump

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// through sends batches 0, 1, 2 … through a pipeline with several workers. put
// is given the number of the batch.
func through(ctx context.Context, batches int64, work, put func(i int64) error) error {
	const workers = 4
	line := newPipeline(workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return line.feed(ctx, func(emit func(batch) error) error {
			for i := range batches {
				if err := emit(batch{run: run{first: i}}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for range workers {
		g.Go(func() error {
			return line.run(ctx,
				func(u *bundle) error { return work(u.first) },
				func(u *bundle) error { return put(u.first) })
		})
	}
	return g.Wait()
}

// dawdle lets others go first, now and then several times.
func dawdle(int64) error {
	for n := rand.IntN(8); n > 0; n-- {
		runtime.Gosched()
	}
	return nil
}

func TestPipelineOrder(t *testing.T) {
	const batches = 5000
	var next atomic.Int64
	var busy atomic.Bool
	err := through(t.Context(), batches, dawdle, func(i int64) error {
		if !busy.CompareAndSwap(false, true) {
			t.Error("two are put at the same time")
		}
		defer busy.Store(false)
		if want := next.Add(1) - 1; i != want {
			t.Errorf("batch %d is put when it is the turn of %d", i, want)
		}
		return dawdle(i)
	})
	if err != nil || next.Load() != batches {
		t.Errorf("%d of %d batches were put: %v", next.Load(), batches, err)
	}
}

// TestPipelineEnds ends in the middle: nothing behind the end is put.
func TestPipelineEnds(t *testing.T) {
	const end = 100
	broken := errors.New("broken")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	at := func(then func() error) func(int64) error {
		return func(i int64) error {
			if i == end {
				return then()
			}
			return dawdle(i)
		}
	}
	fail := func() error { return broken }
	for name, c := range map[string]struct {
		ctx       context.Context
		work, put func(int64) error
		last      int64 // the last batch that may be put
	}{
		"work fails": {t.Context(), at(fail), dawdle, end - 1},
		"put fails":  {t.Context(), dawdle, at(fail), end},
		"cancelled":  {ctx, dawdle, at(func() error { cancel(broken); return nil }), end},
	} {
		var last atomic.Int64
		err := through(c.ctx, 100*end, c.work, func(i int64) error {
			last.Store(i)
			return c.put(i)
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		if last.Load() > c.last {
			t.Errorf("%s: batch %d was put after %d", name, last.Load(), c.last)
		}
	}
}
