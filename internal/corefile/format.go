package corefile

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The most memory that a format may take, bytes: what zstd itself takes without
// --long=28 and more, and the dictionary of xz -9, which can be there twice,
// since each block has one of its own.
const (
	maxWindow     = 128 << 20
	maxDictionary = 64 << 20
)

// format is a way of compression.
type format struct {
	name  string
	magic string
	open  func(*bufio.Reader) (io.Reader, error)
}

// formats by the first bytes of a file (RFC 8878 3.1.1; lz4_Frame_format.md;
// xz-file-format.txt 2.1.1.1; RFC 1952 2.3.1).
var formats = []format{
	{"zstd", "\x28\xb5\x2f\xfd", func(r *bufio.Reader) (io.Reader, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}},
	{"lz4", "\x04\x22\x4d\x18", openLZ4},
	{"lz4", "\x02\x21\x4c\x18", openLZ4}, // the format before frames
	{"xz", xzMagic, func(r *bufio.Reader) (io.Reader, error) { return &xzReader{r: r}, nil }},
	{"gzip", "\x1f\x8b\x08", func(r *bufio.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"bzip2", "BZh", func(r *bufio.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
}

func openLZ4(r *bufio.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }

// A skippable frame may stand before the frames of zstd and lz4, as pzstd
// writes one:
//
//	magic 0x184d2a50 to 0x184d2a5f  4, little-endian
//	size of the rest                4
const (
	skippable    = 0x184d2a50
	maxSkippable = 64 // of them in a row, so that a hostile file ends
)

// Compression is the name of the way in which a file is compressed, "" if it is
// plain or cannot be read.
func Compression(path string) string {
	f, err := Regular(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if format, err := detect(f); err == nil && format != nil {
		return format.name
	}
	return ""
}

// detect tells the compression of a file by its first bytes, nil if it has
// none that is known.
func detect(r io.ReaderAt) (*format, error) {
	off := int64(0)
	for range maxSkippable {
		var b [8]byte
		n, err := r.ReadAt(b[:], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading its first bytes: %w", err)
		}
		for i := range formats {
			if strings.HasPrefix(string(b[:n]), formats[i].magic) {
				return &formats[i], nil
			}
		}
		if n < len(b) || binary.LittleEndian.Uint32(b[:])&^0xf != skippable {
			return nil, nil
		}
		off += int64(len(b)) + int64(binary.LittleEndian.Uint32(b[4:]))
	}
	return nil, nil
}
