package kdump

import (
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"guestcore/internal/lzo"
	"guestcore/internal/zpage"
)

// method is a way of compressing a page.
type method struct {
	name     string
	flag     uint32 // in the main header and in the descriptor of a compressed page
	maxLevel int    // 0: it has no levels
	// new makes packers of a level, 0 for the default.
	new func(level int) (packer, error)
}

// packer compresses one page after the other, for one goroutine.
type packer interface {
	// pack appends the page, compressed, to dst.
	pack(dst, page []byte) []byte
}

// methods, with the flags of makedumpfile (DUMP_DH_COMPRESSED_*).
var methods = []method{
	{"zlib", 0x1, 9, newZlib},
	{"lzo", 0x2, 0, newLZO},
	{"snappy", 0x4, 0, newSnappy},
	{"zstd", 0x20, 4, newZstd},
}

// packer returns a function that makes packers of a level, which is known to
// work.
func (m method) packer(level int) (func() packer, error) {
	if _, err := m.new(level); err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	return func() packer {
		p, err := m.new(level)
		if err != nil {
			panic(err) // it worked before
		}
		return p
	}, nil
}

// zlibPacker makes zlib streams (RFC 1950).
//
// The fast levels of the package that does it find no match of three bytes and
// give pages up that have few matches, though their bytes are not evenly
// spread. A third of a kernel's pages are such, so those are tried again with
// the first of the careful levels.
type zlibPacker struct {
	fast, careful *zlib.Writer // fast is nil for a careful level
	dst           []byte
}

const (
	// zlibLevel is the default: on pages of a fresh Linux it takes half the
	// time of zlib's level 1, which QEMU and makedumpfile have, for 2 % more
	// bytes.
	zlibLevel = 6
	// zlibCareful is the least level that finds matches of three bytes.
	zlibCareful = 7
)

func newZlib(level int) (packer, error) {
	if level == 0 {
		level = zlibLevel
	}
	z := &zlibPacker{}
	var err error
	if level < zlibCareful {
		if z.fast, err = zlib.NewWriterLevel(z, level); err != nil {
			return nil, err
		}
	}
	z.careful, err = zlib.NewWriterLevel(z, max(level, zlibCareful))
	return z, err
}

func (z *zlibPacker) pack(dst, page []byte) []byte {
	if z.fast != nil {
		b := z.run(z.fast, dst, page)
		if len(b)-len(dst) < len(page)-len(page)/32 {
			return b
		}
	}
	return z.run(z.careful, dst, page)
}

func (z *zlibPacker) run(w *zlib.Writer, dst, page []byte) []byte {
	z.dst = dst
	w.Reset(z)
	w.Write(page) // neither fails: Write below does not
	w.Close()
	return z.dst
}

// Write takes what the writer makes.
func (z *zlibPacker) Write(p []byte) (int, error) {
	z.dst = append(z.dst, p...)
	return len(p), nil
}

// lzoPacker makes raw LZO1X streams.
type lzoPacker struct{ e lzo.Encoder }

func newLZO(int) (packer, error) { return &lzoPacker{}, nil }

func (l *lzoPacker) pack(dst, page []byte) []byte { return l.e.Compress(dst, page) }

// snappyPacker makes raw Snappy blocks.
type snappyPacker struct{ buf []byte }

func newSnappy(int) (packer, error) {
	return &snappyPacker{buf: make([]byte, s2.MaxEncodedLen(maxBlock))}, nil
}

func (s *snappyPacker) pack(dst, page []byte) []byte {
	return append(dst, s2.EncodeSnappyBetter(s.buf, page)...)
}

// zpagePacker makes a Zstandard frame a page, at about level 1.
type zpagePacker struct{ e zpage.Encoder }

func (z *zpagePacker) pack(dst, page []byte) []byte { return z.e.Compress(dst, page) }

// zstdPacker makes a Zstandard frame (RFC 8878) a page, at the higher levels.
type zstdPacker struct{ e *zstd.Encoder }

// newZstd has level 1 as default.
func newZstd(level int) (packer, error) {
	if level <= 1 {
		return &zpagePacker{}, nil
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(maxBlock),
		zstd.WithAllLitEntropyCompression(true)) // 7 % less, for many pages have few matches
	return &zstdPacker{e}, err
}

func (z *zstdPacker) pack(dst, page []byte) []byte { return z.e.EncodeAll(page, dst) }
