package corefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzBlock reads a block:
//
//	header   size of it / 4 - 1   1
//	         flags                1   number of filters - 1; 0x40, 0x80: sizes follow
//	         compressed size      a number, if flagged
//	         size                 a number, if flagged
//	         filters              id and size as numbers, then properties
//	         padding of zeros, CRC-32 of the header 4
//	LZMA2 chunks
//	padding of zeros to 4 bytes
//	check
//
// A number has seven bits a byte, the lowest first.
type xzBlock struct {
	in     countingReader
	lzma   io.Reader
	check  hash.Hash
	header int64 // bytes
	n      int64 // bytes decompressed

	wantPacked, wantSize uint64 // by the header, unknown if none
}

const (
	xzLZMA2     = 0x21 // the filter
	xzHasPacked = 0x40
	xzHasSize   = 0x80
	unknown     = ^uint64(0)
)

// openXZBlock reads the header behind its first byte, size.
func openXZBlock(r *bufio.Reader, size byte, check hash.Hash) (*xzBlock, error) {
	head := make([]byte, (int(size)+1)*4)
	head[0] = size
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, cutShort(err)
	}
	end := len(head) - 4
	if crc32.ChecksumIEEE(head[:end]) != binary.LittleEndian.Uint32(head[end:]) {
		return nil, errors.New("wrong checksum of a block's header")
	}
	b := &xzBlock{in: countingReader{r: r}, check: check, header: int64(len(head)), wantPacked: unknown, wantSize: unknown}
	dict, err := b.parse(head[1], bytes.NewReader(head[2:end]))
	if err != nil {
		return nil, fmt.Errorf("header of a block: %w", err)
	}
	if dict > maxDictionary {
		return nil, &windowError{dict, maxDictionary}
	}
	b.lzma, err = lzma.Reader2Config{DictCap: max(int(dict), lzma.MinDictCap)}.NewReader2(&b.in)
	return b, cutShort(err)
}

// parse takes in the rest of a header and returns the size of the dictionary.
func (b *xzBlock) parse(flags byte, head *bytes.Reader) (dict int64, err error) {
	if flags&^(xzHasPacked|xzHasSize) != 0 {
		return 0, errors.New("filters other than LZMA2 are not known: decompress the file with xz first")
	}
	number := func() uint64 {
		v, verr := binary.ReadUvarint(head)
		err = errors.Join(err, verr)
		return v
	}
	if flags&xzHasPacked != 0 {
		b.wantPacked = number()
	}
	if flags&xzHasSize != 0 {
		b.wantSize = number()
	}
	filter, size := number(), number()
	code, cerr := head.ReadByte()
	if err = errors.Join(err, cerr); err != nil {
		return 0, errors.New("it ends too early")
	}
	if filter != xzLZMA2 || size != 1 {
		return 0, fmt.Errorf("filter %#x is not known: decompress the file with xz first", filter)
	}
	return lzma.DecodeDictCap(code)
}

// Read reads what the block holds; io.EOF comes when the check was right.
func (b *xzBlock) Read(p []byte) (int, error) {
	n, err := b.lzma.Read(p)
	b.check.Write(p[:n])
	b.n += int64(n)
	if err == io.EOF {
		if err = b.close(); err == nil {
			err = io.EOF
		}
	}
	return n, err
}

func (b *xzBlock) close() error {
	packed := b.in.n
	tail := make([]byte, int(-packed&3)+b.check.Size())
	if _, err := io.ReadFull(b.in.r, tail); err != nil {
		return cutShort(err)
	}
	padding := tail[:-packed&3]
	switch {
	case !bytes.Equal(tail[len(padding):], b.check.Sum(nil)):
		return errors.New("wrong checksum of a block")
	case !bytes.Equal(padding, make([]byte, len(padding))):
		return errors.New("wrong padding of a block")
	case b.wantPacked != unknown && b.wantPacked != uint64(packed),
		b.wantSize != unknown && b.wantSize != uint64(b.n):
		return errors.New("a block's sizes are not those in its header")
	}
	return nil
}

// countingReader counts what is read.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
