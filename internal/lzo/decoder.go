package lzo

import "encoding/binary"

// Decompress unpacks the stream src into dst and returns how many bytes that
// were. A stream of fewer than len(dst) bytes is no error: who expects a whole
// page compares n. Any src is safe; an error is a *CorruptError, and dst[:n]
// is then what was unpacked until there. What dst holds behind n is undefined.
func Decompress(dst, src []byte) (n int, err error) {
	d := decoder{dst: dst, src: src}
	if err := d.run(); err != nil {
		return d.n, &CorruptError{Off: d.op, Out: d.n, Err: err}
	}
	return d.n, nil
}

type decoder struct {
	dst, src []byte
	n        int // bytes unpacked
	at       int // bytes read
	op       int // where the instruction in work begins
}

// many is the number of literals from which on they have an instruction of
// their own.
const many = 4

// run carries out all instructions.
func (d *decoder) run() error {
	literals := 0 // that the instruction before brought; many for more too
	if len(d.src) > 0 && d.src[0] > 17 {
		d.at = 1
		literals = min(int(d.src[0])-17, many)
		if err := d.literals(int(d.src[0]) - 17); err != nil {
			return err
		}
	}
	for {
		d.op = d.at
		if d.at >= len(d.src) {
			return ErrInputOverrun
		}
		op := int(d.src[d.at])
		d.at++
		var distance, size, low int // low has the bits S
		var err error
		switch {
		case op >= 0x40:
			if d.at >= len(d.src) {
				return ErrInputOverrun
			}
			distance = int(d.src[d.at])<<3 + op>>2&7 + 1
			size, low = op>>5+1, op
			d.at++
		case op >= 0x20:
			if size, err = d.length(op, 31); err != nil {
				return err
			}
			if low, err = d.uint16(); err != nil {
				return err
			}
			distance = low>>2 + 1
			size += 2
		case op >= 0x10:
			if size, err = d.length(op, 7); err != nil {
				return err
			}
			if low, err = d.uint16(); err != nil {
				return err
			}
			distance = midDistance + op&8<<11 + low>>2
			size += 2
			if distance == midDistance {
				return d.end()
			}
		case literals == 0:
			if size, err = d.length(op, 15); err != nil {
				return err
			}
			if err = d.literals(size + 3); err != nil {
				return err
			}
			literals = many
			continue
		default:
			if d.at >= len(d.src) {
				return ErrInputOverrun
			}
			distance = int(d.src[d.at])<<2 + op>>2 + 1
			size, low = 2, op
			d.at++
			if literals == many {
				distance += nearDistance
				size = 3
			}
		}
		if err := d.repeat(distance, size); err != nil {
			return err
		}
		if literals = low & 3; literals > 0 {
			if err := d.literals(literals); err != nil {
				return err
			}
		}
	}
}

// end checks that nothing follows the end marker.
func (d *decoder) end() error {
	if d.op = d.at; d.at < len(d.src) {
		return ErrTrailing
	}
	return nil
}

// length reads a length whose field in the instruction op holds at most max.
func (d *decoder) length(op, max int) (int, error) {
	if n := op & max; n != 0 {
		return n, nil
	}
	for n := max; d.at < len(d.src); n += 255 {
		b := d.src[d.at]
		d.at++
		if b != 0 {
			return n + int(b), nil
		}
		if n > len(d.dst) { // before n can overflow
			return 0, ErrOutputOverrun
		}
	}
	return 0, ErrInputOverrun
}

// uint16 reads the two bytes of a distance and S.
func (d *decoder) uint16() (int, error) {
	if len(d.src)-d.at < 2 {
		return 0, ErrInputOverrun
	}
	v := binary.LittleEndian.Uint16(d.src[d.at:])
	d.at += 2
	return int(v), nil
}

// literals copies size bytes from the stream.
func (d *decoder) literals(size int) error {
	src, dst := d.src[d.at:], d.dst[d.n:]
	if size <= 16 && len(src) >= 16 && len(dst) >= 16 {
		// Two words are faster than a copy of just the right size.
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src))
		binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
		d.at += size
		d.n += size
		return nil
	}
	if size > len(src) {
		return ErrInputOverrun
	}
	if size > len(dst) {
		return ErrOutputOverrun
	}
	copy(dst, src[:size])
	d.at += size
	d.n += size
	return nil
}

// repeat copies size bytes from distance bytes back.
func (d *decoder) repeat(distance, size int) error {
	if distance > d.n {
		return ErrLookBehind
	}
	if size > len(d.dst)-d.n {
		return ErrOutputOverrun
	}
	dst := d.dst[d.n-distance:] // what to repeat, then room for it
	d.n += size
	if distance >= 8 && len(dst)-distance >= (size+7)&^7 {
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(dst[distance+i:], binary.LittleEndian.Uint64(dst[i:]))
		}
		return nil
	}
	// Each round may take what the rounds before have written.
	for done := 0; done < size; {
		done += copy(dst[distance+done:distance+size], dst[:distance+done])
	}
	return nil
}
