package kdump

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"guestcore/internal/dump"
)

// piece is the most memory that is compressed as one, and about the most that
// is written at once, in bytes.
const piece = 256 << 10

// write makes the raw form.
func (j *job) write(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if err := j.writeHead(s); err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	line := newPipeline(2*workers + 2)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return line.feed(ctx, j.scan) })
	for range workers {
		g.Go(func() error {
			pk := j.packer()
			return line.work(ctx, func(b *batch) error { return b.pack(j.image, pk, j.layout.block) })
		})
	}
	g.Go(func() error {
		w, err := j.newWriter(s)
		if err != nil {
			return err
		}
		err = line.drain(ctx, func(b *batch) error {
			defer p.Add(b.memory)
			return w.put(b)
		})
		if err != nil {
			return err
		}
		return w.flush(0)
	})
	return g.Wait()
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
	w := &writer{sink: s, order: j.order, flag: j.flag, block: uint32(l.block), zero: l.data, data: l.data, at: l.descs}
	return w, w.store(make([]byte, l.block))
}

// store writes pages where the last ones end.
func (w *writer) store(p []byte) error {
	n, err := w.sink.WriteAt(p, w.data)
	w.data += int64(n)
	return err
}

// put writes the pages of a batch and describes them.
func (w *writer) put(b *batch) error {
	at := w.data
	if b.zero {
		for range b.count {
			w.describe(w.zero, w.block, 0)
			if err := w.flush(piece); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range b.packs {
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
	if len(b.data) == 0 {
		return nil
	}
	return w.store(b.data)
}

// describe adds a page descriptor: where the page is, its length, how it is
// compressed, and the kernel's flags of it, which are not known.
func (w *writer) describe(off int64, size, flags uint32) {
	w.descs = w.order.(binary.AppendByteOrder).AppendUint64(w.descs, uint64(off))
	w.descs = w.order.(binary.AppendByteOrder).AppendUint32(w.descs, size)
	w.descs = w.order.(binary.AppendByteOrder).AppendUint32(w.descs, flags)
	w.descs = append(w.descs, 0, 0, 0, 0, 0, 0, 0, 0)
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
