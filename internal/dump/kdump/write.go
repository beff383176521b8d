package kdump

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

const (
	// piece is the most memory that is compressed as one, and about the most
	// that is written at once, in bytes.
	piece = 256 << 10
	// maxWorkers bounds the memory: for each there is a batch, twice, as it was
	// read and compressed.
	maxWorkers = 128
)

// write makes the raw form.
func (j *job) write(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if err := j.writeHead(s); err != nil {
		return err
	}
	w, err := j.newWriter(s)
	if err != nil {
		return err
	}
	// While some wait for the source or write, others compress: as many at the
	// same time as there are processors, and so many packers do.
	packers := make(chan packer, runtime.GOMAXPROCS(0))
	for range cap(packers) {
		packers <- j.packer()
	}
	workers := min(2*cap(packers), maxWorkers)
	line := newPipeline(workers)
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return line.feed(running, j.scan) })
	for range workers {
		g.Go(func() error {
			return line.run(running,
				func(u *bundle) error { return j.fill(u, packers) },
				func(u *bundle) error {
					defer p.Add(u.memory)
					return w.put(running, u)
				})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.flush(0)
}

// fill reads and compresses a batch.
func (j *job) fill(u *bundle, packers chan packer) error {
	if u.zero {
		return nil
	}
	if err := u.read(j.image, j.layout.block); err != nil {
		return err
	}
	pk := <-packers
	defer func() { packers <- pk }()
	u.pack(pk, int(j.layout.block))
	return nil
}

// writeHead writes all that is before the page descriptors.
func (j *job) writeHead(s dump.Sink) error {
	if _, err := s.WriteAt(j.head, 0); err != nil {
		return fmt.Errorf("headers and notes: %w", err)
	}
	l := j.layout
	for i, runs := range [][]run{j.pages.exist, j.pages.stored} {
		for at := int64(0); at < l.bits; at += piece {
			b := make([]byte, min(piece, l.bits-at))
			off := l.bitmap + int64(i)*l.bits + at
			err := error(nil)
			if bitmap(b, at*8, runs) {
				_, err = s.WriteAt(b, off)
			} else {
				err = s.HoleAt(off, int64(len(b)))
			}
			if err != nil {
				return fmt.Errorf("bitmap %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// writer puts batches into the file, in their order.
type writer struct {
	sink  dump.Sink
	image *guest.Image
	align int64 // of pages that are shared, bytes
	debt  debt
	order binary.ByteOrder
	flag  uint32 // of compressed pages
	block uint32 // bytes
	zero  int64  // offset of the page of zeros
	data  int64  // offset of the next page
	descs []byte // page descriptors to be written
	at    int64  // offset of descs
}

// newWriter writes the page of zeros first.
func (j *job) newWriter(s dump.Sink) (*writer, error) {
	l := j.layout
	w := &writer{sink: s, image: j.image, align: j.align, order: j.order, flag: j.flag, block: uint32(l.block), zero: l.data, data: l.data, at: l.descs}
	return w, w.store(make([]byte, l.block))
}

// store writes pages where the last ones end.
func (w *writer) store(p []byte) error {
	n, err := w.sink.WriteAt(p, w.data)
	w.data += int64(n)
	return err
}

// put writes the pages of a batch and describes them.
func (w *writer) put(ctx context.Context, u *bundle) error {
	if u.zero {
		return w.putZeros(u.count)
	}
	at, shared, err := w.share(ctx, u)
	if err != nil {
		return err
	}
	for _, p := range u.packs {
		switch {
		case p.size == 0:
			w.describe(w.zero, w.block, 0)
			continue
		case p.plain:
			w.describe(at, p.size, 0)
		default:
			w.describe(at, p.size, w.flag)
		}
		at += int64(p.size)
	}
	if err := w.flush(piece); err != nil {
		return err
	}
	if shared {
		w.data = at
		return nil
	}
	if len(u.data) == 0 {
		return nil
	}
	return w.store(u.data)
}

// putZeros describes so many pages of zeros.
func (w *writer) putZeros(count int64) error {
	for count > 0 {
		before := len(w.descs)
		w.describe(w.zero, w.block, 0)
		some := min(count, max(1, int64(piece-before)/descSize))
		for have := int64(1); have < some; have = min(2*have, some) {
			w.descs = append(w.descs, w.descs[before:before+int(min(have, some-have))*descSize]...)
		}
		count -= some
		if err := w.flush(piece); err != nil {
			return err
		}
	}
	return nil
}

// describe adds a page descriptor: where the page is, its length, how it is
// compressed, and the kernel's flags of it, which are not known.
func (w *writer) describe(off int64, size, flags uint32) {
	var d [descSize]byte
	w.order.PutUint64(d[:], uint64(off))
	w.order.PutUint32(d[8:], size)
	w.order.PutUint32(d[12:], flags)
	w.descs = append(w.descs, d[:]...)
}

// flush writes the page descriptors if they are as long as least.
func (w *writer) flush(least int) error {
	if len(w.descs) < max(least, 1) {
		return nil
	}
	n, err := w.sink.WriteAt(w.descs, w.at)
	w.at += int64(n)
	w.descs = w.descs[:0]
	if err != nil {
		err = fmt.Errorf("page descriptors: %w", err)
	}
	return err
}
