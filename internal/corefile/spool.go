package corefile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"guestcore/internal/progress"
)

const (
	chunk  = 1 << 20  // how much is decompressed before it is written, bytes
	buffer = 64 << 10 // how much is read at once; progress is counted then
)

// Spool says what was decompressed.
type Spool struct {
	Format string
	Dir    string // of the temporary
	Size   int64  // of the core
	OnDisk int64  // of that, what is not holes
	// Cut is set if the compressed file ended inside the core.
	Cut *CutError
}

func (s *Spool) String() string {
	return fmt.Sprintf("%s, spooled %s to a temporary in %s, %s of it on disk", s.Format, progress.Bytes(s.Size), s.Dir, progress.Bytes(s.OnDisk))
}

// spooler decompresses one file.
type spooler struct {
	Spool
	in    *input
	to    *os.File
	meter progress.Meter
}

// spool decompresses f into a temporary.
func spool(ctx context.Context, f *os.File, format *format, opt Options) (*File, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &spooler{Spool: Spool{Format: format.name, Dir: spoolDir(opt.Dir)}}
	s.in = &input{f: f, meter: &s.meter}
	if s.to, err = temporary(s.Dir, f.Name()); err != nil {
		return nil, err
	}
	if opt.Show != nil {
		defer progress.Show(&s.meter, opt.Show)()
	}
	s.meter.Start(st.Size())
	err = s.run(ctx, format, opt.Check)
	var cut *CutError
	if opt.Partial && errors.As(err, &cut) {
		s.Cut, err = cut, nil
	}
	if err == nil {
		err = s.to.Truncate(s.Size)
	}
	if err != nil {
		s.to.Close()
		return nil, err
	}
	return &File{File: s.to, Spool: &s.Spool}, nil
}

// run decompresses to the end, or to what it returns an error for.
func (s *spooler) run(ctx context.Context, format *format, check func(io.ReaderAt) error) error {
	r, err := s.open(format)
	if err != nil {
		return s.failed(err)
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	buf := make([]byte, chunk)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := readChunk(r, buf)
		if n > 0 && s.Size == 0 && check != nil {
			if err := check(bytes.NewReader(buf[:n])); err != nil {
				return err
			}
		}
		if err := s.write(buf[:n]); err != nil {
			return err
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return s.failed(err)
		}
	}
}

// open and readChunk guard against decoders that panic on damaged data.

func (s *spooler) open(format *format) (r io.Reader, err error) {
	defer recoverTo(&err)
	return format.open(bufio.NewReaderSize(s.in, buffer))
}

// readChunk fills b as far as r goes. Unlike io.ReadFull it leaves the error
// as it is.
func readChunk(r io.Reader, b []byte) (n int, err error) {
	defer recoverTo(&err)
	for n < len(b) && err == nil {
		var got int
		got, err = r.Read(b[n:])
		n += got
	}
	return n, err
}

func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the decoder failed: %v", v)
	}
}

// failed puts an error of the decoder into words.
func (s *spooler) failed(err error) error {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	var window *windowError
	switch {
	case s.in.err != nil:
		return fmt.Errorf("reading at offset %#x: %w", s.in.off, s.in.err)
	case errors.As(err, &window):
		return window
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &windowError{most: maxWindow}
	case s.in.ended && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return &CutError{Format: s.Format, Off: s.in.off, Have: s.Size}
	}
	return &FormatError{Format: s.Format, Off: s.in.off, Have: s.Size, Err: err}
}

// block is the unit of holes, as most file systems have it.
const block = 4096

var zeros [block]byte

// write adds p to the core, its blocks of zeros as holes.
func (s *spooler) write(p []byte) error {
	for len(p) > 0 {
		data := run(p, false)
		if err := s.writeData(p[:data]); err != nil {
			return err
		}
		hole := run(p[data:], true)
		s.Size += int64(data + hole)
		p = p[data+hole:]
	}
	return nil
}

// run is the length of the blocks at the beginning of p that are zero, or are
// not.
func run(p []byte, zero bool) int {
	n := 0
	for n < len(p) {
		b := p[n:min(n+block, len(p))]
		if bytes.Equal(b, zeros[:len(b)]) != zero {
			break
		}
		n += len(b)
	}
	return n
}

func (s *spooler) writeData(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	// Asked before each write, so that nobody else's space is used up to the
	// last byte; it is a microsecond.
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.to.Fd()), &st); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", s.Dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < int64(len(p)) {
		return s.noSpace(free)
	}
	_, err := s.to.WriteAt(p, s.Size)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		return s.noSpace(0)
	}
	if err != nil {
		return fmt.Errorf("writing the decompressed core in %s: %w", s.Dir, errors.Unwrap(err))
	}
	s.OnDisk += int64(len(p))
	return nil
}

func (s *spooler) noSpace(free int64) error {
	m := s.meter.State()
	e := &SpaceError{Dir: s.Dir, Held: s.OnDisk, Free: free, Percent: m.Percent(), Need: chunk}
	if m.Done > 0 {
		e.Need += int64(float64(s.OnDisk) / float64(m.Done) * float64(m.Total-m.Done))
	}
	return e
}

// input is the compressed file, which remembers what became of reading it. A
// decoder may read it from a goroutine of its own.
type input struct {
	f     *os.File
	meter *progress.Meter

	mu    sync.Mutex
	off   int64
	ended bool  // the decoder asked for more than there is
	err   error // other than that
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.f.Read(p)
	i.meter.Add(int64(n))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.off += int64(n)
	switch {
	case err == io.EOF:
		i.ended = true
	case err != nil:
		i.err = err
	}
	return n, err
}
