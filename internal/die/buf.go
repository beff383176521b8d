package die

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// errTruncated means that an entry reaches beyond the bytes of its unit or section.
var errTruncated = errors.New("truncated")

// buf walks bytes. The first read beyond the end sets bad; reads after that give 0.
type buf struct {
	b     []byte
	pos   int
	order binary.ByteOrder
	bad   bool
}

func (r *buf) err() error {
	if r.bad {
		return errTruncated
	}
	return nil
}

func (r *buf) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)-r.pos) {
		r.bad = true
		return nil
	}
	p := r.b[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return p
}

// uint reads an unsigned number of 1 to 8 bytes.
func (r *buf) uint(n int) uint64 {
	p := r.bytes(uint64(n))
	switch len(p) {
	case 0:
		return 0
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(r.order.Uint16(p))
	case 4:
		return uint64(r.order.Uint32(p))
	case 8:
		return r.order.Uint64(p)
	}
	var v uint64
	for i := range p {
		c := p[i]
		if r.order == binary.LittleEndian {
			c = p[len(p)-1-i]
		}
		v = v<<8 | uint64(c)
	}
	return v
}

// uleb reads an unsigned LEB128. Bits beyond the 64th are dropped.
func (r *buf) uleb() uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		if r.bad || r.pos >= len(r.b) {
			r.bad = true
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if shift < 64 {
			v |= uint64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			return v
		}
	}
}

// sleb reads a signed LEB128.
func (r *buf) sleb() int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		if r.bad || r.pos >= len(r.b) {
			r.bad = true
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if shift < 64 {
			v |= int64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			if shift+7 < 64 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// cstring reads to a NUL, which it takes too.
func (r *buf) cstring() []byte {
	if r.bad {
		return nil
	}
	n := bytes.IndexByte(r.b[r.pos:], 0)
	if n < 0 {
		r.bad = true
		return nil
	}
	p := r.b[r.pos : r.pos+n]
	r.pos += n + 1
	return p
}

// Occurrences yields every place of b where needle begins, overlaps included.
func Occurrences(b, needle []byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], needle)
			if i < 0 {
				return
			}
			at += i
			if !yield(at) {
				return
			}
		}
	}
}
