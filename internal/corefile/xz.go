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
	"hash/crc64"
	"io"
)

// xzReader reads the container of xz (tukaani.org/xz/xz-file-format.txt):
//
//	stream  header | block… | index | footer, then the next one or padding
//	header  magic 6 | flags 2 | CRC-32 of the flags 4
//	footer  CRC-32 of the next two 4 | index size 4 | flags 2 | "YZ"
//
// It is our own because the module's takes whatever memory a block's header
// asks for, up to 4 GiB; its decoder of the blocks' contents is used.
type xzReader struct {
	r      *bufio.Reader
	inside bool             // a stream
	any    bool             // stream was read
	flags  [2]byte          // of the stream
	check  func() hash.Hash // of its blocks
	blocks xzRecords        // of the stream so far
	block  *xzBlock         // nil between blocks
}

const (
	xzMagic    = "\xfd7zXZ\x00"
	xzEndMagic = "YZ"
)

// xzChecks are the checks of a block by the second byte of the flags.
var xzChecks = map[byte]func() hash.Hash{
	0:  func() hash.Hash { return noCheck{crc32.NewIEEE()} },
	1:  func() hash.Hash { return bigToLittle{crc32.NewIEEE()} },
	4:  func() hash.Hash { return bigToLittle{crc64.New(crc64.MakeTable(crc64.ECMA))} },
	10: sha256.New,
}

// noCheck is a check of no bytes.
type noCheck struct{ hash.Hash }

func (noCheck) Write(p []byte) (int, error) { return len(p), nil }
func (noCheck) Sum(b []byte) []byte         { return b }
func (noCheck) Size() int                   { return 0 }

// bigToLittle turns the byte order of Go's checksums into that of xz.
type bigToLittle struct{ hash.Hash }

func (l bigToLittle) Sum(b []byte) []byte {
	at := len(b)
	b = l.Hash.Sum(b)
	for i, j := at, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b
}

// Read reads what all blocks of all streams hold, one after the other.
func (x *xzReader) Read(p []byte) (int, error) {
	for {
		if x.block != nil {
			n, err := x.block.Read(p)
			if err == io.EOF {
				x.blocks.add(x.block)
				x.block, err = nil, nil
			}
			if n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if err := x.next(); err != nil {
			return 0, err
		}
	}
}

// next goes to the next block, or is io.EOF at the end of the file.
func (x *xzReader) next() error {
	if !x.inside {
		return x.openStream()
	}
	size, err := x.r.ReadByte()
	if err != nil {
		return cutShort(err)
	}
	if size != 0 {
		x.block, err = openXZBlock(x.r, size, x.check())
		return err
	}
	return x.closeStream()
}

// openStream reads a stream's header, and the padding before it.
func (x *xzReader) openStream() error {
	var b [12]byte
	for {
		n, err := io.ReadFull(x.r, b[:4])
		if err == io.EOF && x.any && n == 0 {
			return io.EOF
		}
		if err != nil {
			return cutShort(err)
		}
		if !x.any || b[0]|b[1]|b[2]|b[3] != 0 {
			break
		}
	}
	if _, err := io.ReadFull(x.r, b[4:]); err != nil {
		return cutShort(err)
	}
	if string(b[:6]) != xzMagic {
		return errors.New("no header of a stream")
	}
	x.flags = [2]byte(b[6:])
	if crc32.ChecksumIEEE(x.flags[:]) != binary.LittleEndian.Uint32(b[8:]) {
		return errors.New("wrong checksum of a stream's header")
	}
	x.check = xzChecks[x.flags[1]]
	if x.flags[0] != 0 || x.check == nil {
		return fmt.Errorf("flags %#x of a stream are not known", x.flags)
	}
	x.inside, x.any, x.blocks = true, true, newXZRecords()
	return nil
}

// closeStream reads the index behind its first byte, and the footer, and holds
// both against what was read.
func (x *xzReader) closeStream() error {
	size, err := x.blocks.readIndex(x.r)
	if err != nil {
		return err
	}
	var b [12]byte
	if _, err := io.ReadFull(x.r, b[:]); err != nil {
		return cutShort(err)
	}
	switch {
	case string(b[10:]) != xzEndMagic:
		return errors.New("no footer of a stream")
	case crc32.ChecksumIEEE(b[4:10]) != binary.LittleEndian.Uint32(b[:]):
		return errors.New("wrong checksum of a stream's footer")
	case !bytes.Equal(b[8:10], x.flags[:]), (int64(binary.LittleEndian.Uint32(b[4:]))+1)*4 != size:
		return errors.New("a stream's footer does not fit the stream")
	}
	x.inside = false
	return nil
}

// cutShort is the error for a file that ends where more has to come.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
