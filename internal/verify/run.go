package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"runtime"
	"sync"
	"sync/atomic"

	"guestcore/internal/addr"
)

const (
	// maxWorkers bounds the memory of a run: each has a piece for each source.
	maxWorkers = 24
	// batchSize is how many pieces are read before their sums are put in
	// order.
	batchSize = 4096
)

// run is one reading of the sources.
type run struct {
	sources  []*Source
	progress Progress
	own      []Span // joined, of all sources
	result   Result
}

// piece is a piece on its way.
type piece struct {
	Span
	of     Span // which it is a part of
	sums   [2]Sum
	faults [2]Fault
	differ Difference
	own    Difference
}

func (r *run) run(ctx context.Context) error {
	n := len(r.sources)
	r.result.Faults = make([]Fault, n)
	digests := make([]*builder, n)
	for i := range digests {
		digests[i] = newBuilder()
	}
	workers := make([]*worker, min(runtime.GOMAXPROCS(0), maxWorkers))
	for i := range workers {
		workers[i] = &worker{run: r}
	}
	batch := make([]piece, 0, batchSize)
	flush := func() error {
		if err := work(ctx, workers, batch); err != nil {
			return err
		}
		for i := range batch {
			p := &batch[i]
			r.result.Difference.add(p.differ)
			r.result.Own.add(p.own)
			for s, d := range digests {
				if p.Start == p.of.Start {
					d.begin(p.of)
				}
				d.piece(p.sums[s])
				if p.End == p.of.End {
					d.end()
				}
				if p.faults[s].Pages > 0 {
					r.result.Faults[s].add(p.faults[s])
				}
			}
		}
		batch = batch[:0]
		return nil
	}
	for _, s := range r.result.Spans {
		for a := s.Start; a < s.End; {
			end := pieceEnd(a, s.End)
			batch = append(batch, piece{Span: Span{a, end}, of: s})
			if len(batch) == batchSize {
				if err := flush(); err != nil {
					return err
				}
			}
			a = end
		}
	}
	if err := flush(); err != nil {
		return err
	}
	for _, d := range digests {
		r.result.Digests = append(r.result.Digests, d.done())
	}
	return nil
}

// work has the workers do a batch.
func work(ctx context.Context, workers []*worker, batch []piece) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(batch)) {
					return
				}
				w.do(&batch[i])
				w.run.progress.Add(int64(batch[i].Size()))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// worker does pieces, one at a time.
type worker struct {
	*run
	buf [2][]byte
}

func (w *worker) do(p *piece) {
	n := p.Size()
	var data [2][]byte // nil: zeros, without having read any
	for i, s := range w.sources {
		if s.Memory.Zero(p.Start, n) {
			continue
		}
		if w.buf[i] == nil {
			w.buf[i] = make([]byte, Piece)
		}
		data[i] = w.buf[i][:n]
		p.faults[i] = read(s.Memory, data[i], p.Start)
	}
	for i := range w.sources {
		switch {
		case p.faults[i].Pages > 0:
		case data[i] == nil || bytes.Equal(data[i], zeros[:n]):
			p.sums[i] = sumZeros(n)
		case i == 1 && p.faults[0].Pages == 0 && bytes.Equal(data[0], data[1]):
			p.sums[1] = p.sums[0]
		default:
			p.sums[i] = Sum{sha256.Sum256(data[i]), true}
		}
	}
	if len(w.sources) == 2 && (p.sums[0] != p.sums[1] || !p.sums[0].valid) {
		p.compare(data, w.own)
	}
}

// compare finds what differs in what two sources gave of a piece, nil for
// zeros. Pages that one could not read are left out. Where they may differ is
// in own.
func (p *piece) compare(data [2][]byte, own []Span) {
	n := p.Size()
	for i := range data {
		if data[i] == nil {
			data[i] = zeros[:n]
		}
	}
	bad := map[addr.GPA]bool{}
	for _, f := range p.faults {
		for _, a := range f.pages {
			bad[a] = true
		}
	}
	for a := p.Start; a < p.End; {
		end := min((a/Page+1)*Page, p.End)
		x, y := data[0][a-p.Start:end-p.Start], data[1][a-p.Start:end-p.Start]
		if !bad[a] && !bytes.Equal(x, y) {
			page := Span{a, end}
			if !p.differ.addPage(page, Without([]Span{page}, own), x, y) {
				p.own.addPage(page, []Span{page}, x, y)
			}
		}
		a = end
	}
}

// addPage adds a page with the bytes x and y if they differ in a part of it,
// and reports that.
func (d *Difference) addPage(page Span, parts []Span, x, y []byte) bool {
	for _, s := range parts {
		for a := s.Start; a < s.End; a++ {
			if at := a - page.Start; x[at] != y[at] {
				d.add(Difference{Pages: 1, Addr: a, Bytes: [2]byte{x[at], y[at]}, Spans: []Span{page}})
				return true
			}
		}
	}
	return false
}

// read reads memory, page by page where something cannot be read.
func read(m Memory, p []byte, a addr.GPA) Fault {
	var f Fault
	if n, _ := m.ReadAt(p, int64(a)); n == len(p) {
		return f
	}
	start, end := a, a+addr.GPA(len(p))
	for at := start; at < end; {
		next := min((at/Page+1)*Page, end)
		page := p[at-start : next-start]
		if n, err := m.ReadAt(page, int64(at)); n < len(page) {
			f.add(Fault{Pages: 1, Addr: at, Err: err})
			f.pages = append(f.pages, at)
		}
		at = next
	}
	return f
}
