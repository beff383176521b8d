package objfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxSection bounds the bytes of one section, expanded: twice the largest debug information known for a program.
const maxSection = 8 << 30

// bytes gives the content of a section, uncompressed, nil if there is none of that name. Both ways of compressing are known:
// SHF_COMPRESSED and the older name .zdebug_*.
func (img *image) bytes(name string) (b []byte, err error) {
	defer recovered(&err, img.path)
	s := img.elf.Section(name)
	if s == nil {
		if rest, ok := strings.CutPrefix(name, ".debug_"); ok {
			s = img.elf.Section(".zdebug_" + rest)
		}
	}
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, nil
	}
	switch {
	case s.Flags&elf.SHF_COMPRESSED != 0:
		b, err = img.expandCompressed(s)
	case s.Name != name:
		b, err = img.expandZdebug(s)
	default:
		b, err = img.raw(s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: section %s: %w", img.path, s.Name, err)
	}
	return b, nil
}

// raw reads a section as it stands in the file.
func (img *image) raw(s *elf.Section) ([]byte, error) {
	if err := img.inFile(s); err != nil {
		return nil, err
	}
	b := make([]byte, s.FileSize)
	return b, readFull(img.r, b, s.Offset)
}

func (img *image) inFile(s *elf.Section) error {
	if s.Offset > uint64(img.size) || s.FileSize > uint64(img.size)-s.Offset {
		return fmt.Errorf("%s: section %s: %#x bytes at %#x, but the file ends at %#x; is it truncated?",
			img.path, s.Name, s.FileSize, s.Offset, img.size)
	}
	return nil
}

// expandCompressed expands a section that begins with a compression header (gABI, Elf32_Chdr and Elf64_Chdr):
//
//	64 bits: type u32, reserved u32, size u64, addralign u64       32 bits: type u32, size u32, addralign u32
func (img *image) expandCompressed(s *elf.Section) ([]byte, error) {
	b, err := img.raw(s)
	if err != nil {
		return nil, err
	}
	order := img.elf.ByteOrder
	hdr := 24
	if img.elf.Class == elf.ELFCLASS32 {
		hdr = 12
	}
	if len(b) < hdr {
		return nil, fmt.Errorf("compression header: %d bytes", len(b))
	}
	size := uint64(order.Uint32(b[4:]))
	if hdr == 24 {
		size = order.Uint64(b[8:])
	}
	return expand(elf.CompressionType(order.Uint32(b)), b[hdr:], size)
}

// expandZdebug expands a .zdebug_ section: "ZLIB", the size as 64 bits big-endian, a zlib stream.
func (img *image) expandZdebug(s *elf.Section) ([]byte, error) {
	b, err := img.raw(s)
	if err != nil {
		return nil, err
	}
	if len(b) < 12 || string(b[:4]) != "ZLIB" {
		return nil, fmt.Errorf("no ZLIB header")
	}
	return expand(elf.COMPRESS_ZLIB, b[12:], binary.BigEndian.Uint64(b[4:]))
}

// expand expands a stream that must come to exactly size bytes.
func expand(how elf.CompressionType, b []byte, size uint64) ([]byte, error) {
	if size > maxSection {
		return nil, fmt.Errorf("claims %d bytes uncompressed", size)
	}
	var r io.Reader
	switch how {
	case elf.COMPRESS_ZLIB:
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case elf.COMPRESS_ZSTD:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		return nil, fmt.Errorf("unknown compression %v", how)
	}
	// The size is a claim: room for it at once only where the input could really expand to it.
	room := min(size, 64*uint64(len(b))+4096)
	out := bytes.NewBuffer(make([]byte, 0, room+bytes.MinRead))
	n, err := io.Copy(out, io.LimitReader(r, int64(size)+1))
	if err != nil {
		return nil, fmt.Errorf("expanding %d bytes: %w", len(b), err)
	}
	if uint64(n) != size {
		return nil, fmt.Errorf("expands to %d bytes, its header says %d", n, size)
	}
	return out.Bytes(), nil
}
