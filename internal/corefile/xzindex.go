package corefile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// xzRecords are the sizes of a stream's blocks, kept as a digest so that they
// take no memory.
type xzRecords struct {
	n      uint64
	digest hash.Hash
}

func newXZRecords() xzRecords { return xzRecords{digest: sha256.New()} }

// add counts a block that was read.
func (r *xzRecords) add(b *xzBlock) {
	r.count(uint64(b.header+b.in.n)+uint64(b.check.Size()), uint64(b.n))
}

// count takes in a block's size, without its padding, and that of what it holds.
func (r *xzRecords) count(unpadded, size uint64) {
	r.n++
	r.digest.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, unpadded), size))
}

// readIndex reads a stream's index behind its first byte, holds it against the
// blocks and returns its size in bytes:
//
//	0                 1
//	number of blocks  a number
//	of each: size without padding, size of what it holds, numbers
//	padding of zeros to 4 bytes, CRC-32 4
func (r *xzRecords) readIndex(in *bufio.Reader) (int64, error) {
	s := &summedReader{r: in, sum: crc32.NewIEEE(), n: 1}
	s.sum.Write([]byte{0})
	n, err := binary.ReadUvarint(s)
	if err != nil {
		return 0, indexError(err)
	}
	if n != r.n {
		return 0, fmt.Errorf("the index counts %d blocks, there are %d", n, r.n)
	}
	told := newXZRecords()
	for range n {
		unpadded, err := binary.ReadUvarint(s)
		if err != nil {
			return 0, indexError(err)
		}
		size, err := binary.ReadUvarint(s)
		if err != nil {
			return 0, indexError(err)
		}
		told.count(unpadded, size)
	}
	if !bytes.Equal(told.digest.Sum(nil), r.digest.Sum(nil)) {
		return 0, errors.New("the index does not fit the blocks")
	}
	for s.n%4 != 0 {
		if b, err := s.ReadByte(); err != nil {
			return 0, cutShort(err)
		} else if b != 0 {
			return 0, errors.New("wrong padding of the index")
		}
	}
	var sum [4]byte
	if _, err := io.ReadFull(in, sum[:]); err != nil {
		return 0, cutShort(err)
	}
	if binary.LittleEndian.Uint32(sum[:]) != s.sum.Sum32() {
		return 0, errors.New("wrong checksum of the index")
	}
	return s.n + 4, nil
}

func indexError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("index: %w", err)
}

// summedReader counts the bytes read, and sums them up.
type summedReader struct {
	r   *bufio.Reader
	sum hash.Hash32
	n   int64
}

func (s *summedReader) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.n++
		s.sum.Write([]byte{b})
	}
	return b, err
}
