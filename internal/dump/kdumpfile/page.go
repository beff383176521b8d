package kdumpfile

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"guestcore/internal/lzo"
)

// Page is a page descriptor: where a page is in the file, and how.
type Page struct {
	Off   int64  // in the file, unflattened
	Size  int64  // there, bytes
	Flags uint32 // how it is compressed; 0: not
}

// Flags of a page.
const (
	Zlib   = 0x1
	LZO    = 0x2
	Snappy = 0x4
	Zstd   = 0x20
)

const descSize = 24

// Page reads the descriptor of a page. The error wraps [ErrAbsent] if the file
// does not have that page.
func (f *File) Page(number int64) (Page, error) {
	d := f.decoders.Get().(*decoder)
	defer f.decoders.Put(d)
	return d.describe(number)
}

// ReadAt reads guest-physical memory. It returns the bytes before the first
// one that is not in the file, and an error that names its address.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	d := f.decoders.Get().(*decoder)
	defer f.decoders.Put(d)
	n := 0
	for n < len(p) {
		a := off + int64(n)
		m, err := d.readAt(p[n:], a)
		if n += m; err != nil {
			return n, fmt.Errorf("guest memory at %#x: %w", off+int64(n), err)
		}
	}
	return n, nil
}

// decoder reads pages for one goroutine at a time.
type decoder struct {
	f     *File
	descs window
	data  window
	last  Page // what is in page; Size 0: nothing
	page  []byte
	from  bytes.Reader
	zlib  io.ReadCloser
	zstd  *zstd.Decoder
}

func newDecoder(f *File) *decoder {
	return &decoder{f: f, page: make([]byte, f.BlockSize)}
}

func (d *decoder) describe(number int64) (Page, error) {
	f := d.f
	if !f.stored.has(number) || f.lost.has(number) {
		return Page{}, ErrAbsent
	}
	at := f.descs + f.stored.index(number)*descSize
	b, err := d.descs.bytes(f.r, at, descSize)
	if err != nil {
		return Page{}, fmt.Errorf("page descriptor: %w", err)
	}
	p := f.decode(b)
	if p.Off < f.descs+f.stored.count*descSize || p.Size == 0 || p.Size > f.BlockSize || p.Off > f.size-p.Size || p.Flags == 0 && p.Size != f.BlockSize {
		return Page{}, &FormatError{at, fmt.Sprintf("a page of %d bytes with flags %#x at %#x cannot be", p.Size, p.Flags, p.Off)}
	}
	return p, nil
}

// decode reads a descriptor.
func (f *File) decode(b []byte) Page {
	return Page{int64(f.Order.Uint64(b)), int64(f.Order.Uint32(b[8:])), f.Order.Uint32(b[12:])}
}

// run is the longest run of pages, up to so many, that are stored as they are
// and lie one behind the other in the file; else it is one page.
func (d *decoder) run(number, most int64) (first Page, count int64, err error) {
	first, err = d.describe(number)
	if err != nil {
		return Page{}, 0, err
	}
	for count = 1; count < most && first.Flags == 0; count++ {
		p, err := d.describe(number + count)
		if err != nil || p != (Page{first.Off + count*d.f.BlockSize, d.f.BlockSize, 0}) {
			break // if it is an error, who reads that page meets it
		}
	}
	return first, count, nil
}

// readAt reads some bytes of guest memory, at least one.
func (d *decoder) readAt(p []byte, at int64) (int, error) {
	size := d.f.BlockSize
	inside := at % size
	most := int64(len(p)) / size
	if inside != 0 {
		most = 1
	}
	first, count, err := d.run(at/size, most)
	if err != nil {
		return 0, err
	}
	if count > 1 {
		n, err := d.f.r.ReadAt(p[:count*size], first.Off)
		if int64(n) < count*size {
			return n, readError(first.Off+int64(n), err)
		}
		return n, nil
	}
	page, err := d.read(first)
	if err != nil {
		return 0, err
	}
	return copy(p, page[inside:]), nil
}

// read returns a page, until the next call.
func (d *decoder) read(p Page) ([]byte, error) {
	if p == d.last { // the page of zeros, mostly
		return d.page, nil
	}
	d.last = Page{}
	if p.Flags == 0 { // not through the window, which the page of zeros would move
		if n, err := d.f.r.ReadAt(d.page, p.Off); n < len(d.page) {
			return nil, readError(p.Off+int64(n), err)
		}
	} else {
		src, err := d.data.bytes(d.f.r, p.Off, int(p.Size))
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		if err := d.unpack(src, p.Flags); err != nil {
			return nil, fmt.Errorf("page at offset %#x: %w", p.Off, err)
		}
	}
	d.last = p
	return d.page, nil
}

// unpack makes page of src, which has to fill it.
func (d *decoder) unpack(src []byte, flags uint32) error {
	var n int
	var err error
	switch flags {
	case Zlib:
		n, err = d.inflate(src)
	case LZO:
		n, err = lzo.Decompress(d.page, src)
	case Snappy:
		if n, err = s2.DecodedLen(src); err == nil && n == len(d.page) {
			_, err = s2.Decode(d.page, src)
		}
	case Zstd:
		n, err = d.unzstd(src)
	default:
		return fmt.Errorf("compressed in a way that is not known: flags %#x", flags)
	}
	if err == nil && n != len(d.page) {
		err = fmt.Errorf("it has %d bytes, not %d", n, len(d.page))
	}
	return err
}

func (d *decoder) inflate(src []byte) (int, error) {
	d.from.Reset(src)
	var err error
	if d.zlib == nil {
		d.zlib, err = zlib.NewReader(&d.from)
	} else {
		err = d.zlib.(zlib.Resetter).Reset(&d.from, nil)
	}
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(d.zlib, d.page)
	if err != nil {
		return n, err
	}
	var more [1]byte
	switch m, err := io.ReadFull(d.zlib, more[:]); {
	case m > 0:
		return n + m, nil
	case err != io.EOF:
		return n, err // the checksum
	}
	return n, nil
}

func (d *decoder) unzstd(src []byte) (int, error) {
	if d.zstd == nil {
		var err error
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
		if err != nil {
			return 0, err
		}
	}
	out, err := d.zstd.DecodeAll(src, d.page[:0])
	if err != nil {
		return 0, err
	}
	return copy(d.page, out), nil
}

// window is a piece of the file, read ahead.
type window struct {
	off int64
	buf []byte
}

const windowSize = 128 << 10

// bytes returns n bytes at off, until the next call.
func (w *window) bytes(r io.ReaderAt, off int64, n int) ([]byte, error) {
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, windowSize)
		}
		buf := w.buf[:cap(w.buf)]
		if len(buf) < n {
			buf = make([]byte, n)
		}
		m, err := r.ReadAt(buf, off)
		w.off, w.buf = off, buf[:m]
		if m < n {
			return nil, readError(off+int64(m), err)
		}
	}
	at := off - w.off
	return w.buf[at:][:n], nil
}
