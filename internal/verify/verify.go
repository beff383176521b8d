// Package verify reads guest memory from one source or from two, in parallel,
// compares the two byte for byte and makes digests that do not depend on where
// the memory was read from.
//
// It knows neither dump formats nor cores: a [Source] is memory that can be
// read by guest-physical address. It shares no code with the packages that
// write dumps.
package verify

import (
	"context"
	"io"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// Memory is a guest's memory. It is read by several goroutines at once.
type Memory interface {
	// ReadAt reads by guest-physical address. It returns the bytes before the
	// first one that cannot be read, and why.
	io.ReaderAt
	// Zero reports whether n bytes are known to be zero without reading them.
	Zero(a addr.GPA, n uint64) bool
	// Where says for people where a byte is stored.
	Where(a addr.GPA) string
}

// Source is where memory is read from.
type Source struct {
	Name   string
	Memory Memory
	// Ranges are the memory it holds, in order, none overlapping another.
	Ranges []guest.Range
	// Block is the unit in bytes it holds memory in, padded with zeros where
	// the guest has less; 0 and 1 are any.
	Block uint64
	// Own is where it may have something else than the guest had, and was made
	// so: what differs there is told apart.
	Own []guest.Range
}

// Spans are the memory the source holds, joined where two ranges meet.
func (s *Source) Spans() []Span {
	var out []Span
	for _, r := range s.Ranges {
		out = append(out, Span{r.Addr, r.End()})
	}
	return Join(out)
}

// Progress is told how far it is, in bytes of guest memory.
type Progress interface {
	Start(total int64)
	Add(n int64)
}

// Result is what was found.
type Result struct {
	Spans []Span // what was read
	Bytes uint64 // of memory in them
	// Digests are those of each source.
	Digests []Digest
	// Faults are what could not be read of each source.
	Faults []Fault
	// Difference is what two sources differ in, in what both could read and
	// neither has bytes of its own for.
	Difference Difference
	// Own is in what they differ where one of the two has bytes of its own.
	Own Difference
}

// OK reports whether all could be read and nothing differs that should not.
func (r *Result) OK() bool {
	for _, f := range r.Faults {
		if f.Pages > 0 {
			return false
		}
	}
	return r.Difference.Pages == 0
}

// Fault is memory that could not be read.
type Fault struct {
	Pages int64    // of [Page] bytes, or parts of one
	Addr  addr.GPA // of the first of them
	Err   error    // of the first

	pages []addr.GPA // in one piece
}

func (f *Fault) add(x Fault) {
	if f.Pages == 0 {
		f.Addr, f.Err = x.Addr, x.Err
	}
	f.Pages += x.Pages
}

// Difference is in what two sources differ.
type Difference struct {
	Pages int64    // of [Page] bytes, or parts of one, that differ
	Addr  addr.GPA // of the first byte that differs
	Bytes [2]byte  // what it is in each
	Spans []Span   // the pages, at most maxSpans of them
}

const maxSpans = 16

func (d *Difference) add(x Difference) {
	if x.Pages == 0 {
		return
	}
	if d.Pages == 0 {
		d.Addr, d.Bytes = x.Addr, x.Bytes
	}
	d.Pages += x.Pages
	for _, s := range x.Spans {
		if n := len(d.Spans); n > 0 && d.Spans[n-1].End == s.Start {
			d.Spans[n-1].End = s.End
		} else if n < maxSpans {
			d.Spans = append(d.Spans, s)
		}
	}
}

// Run reads the spans, which all sources hold, from one source or from two.
// The error is ctx's cause: memory that cannot be read is in the result.
func Run(ctx context.Context, spans []Span, p Progress, sources ...*Source) (*Result, error) {
	r := &run{sources: sources, progress: p}
	r.result.Spans = Join(spans)
	for _, s := range r.result.Spans {
		r.result.Bytes += s.Size()
	}
	for _, s := range sources {
		for _, x := range s.Own {
			r.own = append(r.own, Span{x.Addr, x.End()})
		}
	}
	r.own = Join(r.own)
	p.Start(int64(r.result.Bytes))
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return &r.result, nil
}
