package die

import (
	"bytes"
	"fmt"
)

// Value is the value of an attribute.
type Value struct {
	unit  *Unit
	form  form
	num   uint64
	bytes []byte // of a block, an expression or an inline string
}

// Uint is the value as an unsigned number; ok is false for blocks and inline strings.
func (v Value) Uint() (n uint64, ok bool) {
	switch v.form {
	case formString, formBlock, formBlock1, formBlock2, formBlock4, formExprloc, formData16:
		return 0, false
	}
	return v.num, true
}

// Int is the value as a signed number. A value of fixed size is extended from its highest bit, as gcc writes negative enumerators.
func (v Value) Int() (n int64, ok bool) {
	u, ok := v.Uint()
	switch v.form {
	case formData1:
		return int64(int8(u)), ok
	case formData2:
		return int64(int16(u)), ok
	case formData4:
		return int64(int32(u)), ok
	}
	return int64(u), ok
}

// Block is the bytes of a block or an expression, nil for other values.
func (v Value) Block() []byte {
	if v.form == formString {
		return nil
	}
	return v.bytes
}

// IsConstant says whether the value is a number rather than an expression or a list of places.
func (v Value) IsConstant() bool {
	switch v.form {
	case formData1, formData2, formData4, formData8, formSdata, formUdata, formImplicitConst:
		return true
	}
	return false
}

// IsSigned says whether the producer wrote the number as a signed one.
func (v Value) IsSigned() bool { return v.form == formSdata || v.form == formImplicitConst }

// Text is the string, wherever it lies.
func (v Value) Text() (string, error) {
	b, err := v.text()
	return string(b), err
}

// isText says whether the value is the string s. It allocates nothing.
func (v Value) isText(s string) bool {
	b, err := v.text()
	return err == nil && string(b) == s
}

func (v Value) text() ([]byte, error) {
	d := v.unit.Data
	switch v.form {
	case formString:
		return v.bytes, nil
	case formStrp:
		return d.text(".debug_str", v.num)
	case formLineStrp:
		return d.text(".debug_line_str", v.num)
	case formStrpSup, formGNUStrpAlt:
		if d.Sup == nil {
			return nil, ErrNoSup
		}
		return d.Sup.text(".debug_str", v.num)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		b, err := v.unit.readBases()
		if err != nil {
			return nil, err
		}
		off, err := d.indexed(".debug_str_offsets", b.str, v.num, v.unit.offsetSize())
		if err != nil {
			return nil, err
		}
		return d.text(".debug_str", off)
	}
	return nil, fmt.Errorf("form %#x is no string", uint32(v.form))
}

// Addr is the address that the value is or, by its index, stands for.
func (v Value) Addr() (uint64, error) {
	switch v.form {
	case formAddr:
		return v.num, nil
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return v.unit.address(v.num)
	}
	return 0, fmt.Errorf("form %#x is no address", uint32(v.form))
}

// opAddr and opAddrx are the expressions of a fixed address (DWARF 5 §2.5.1.1).
const (
	opAddr         = 0x03 // an address
	opAddrx        = 0xa1 // an index into .debug_addr
	opGNUAddrIndex = 0xfb // the same before DWARF 5
)

// FixedAddr is the address that an expression of one operation gives; ok is false for any other place: a register, thread storage.
func (v Value) FixedAddr() (addr uint64, ok bool) {
	u := v.unit
	r := buf{b: v.Block(), order: u.Data.Order}
	switch r.uint(1) {
	case opAddr:
		addr = r.uint(u.addrSize)
	case opAddrx, opGNUAddrIndex:
		var err error
		if addr, err = u.address(r.uleb()); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	return addr, !r.bad && r.pos == len(r.b)
}

// Operand gives the number of an expression that is one given operation with one unsigned LEB128, such as DW_OP_plus_uconst.
func (v Value) Operand(op byte) (n uint64, ok bool) {
	r := buf{b: v.Block(), order: v.unit.Data.Order}
	if byte(r.uint(1)) != op {
		return 0, false
	}
	n = r.uleb()
	return n, !r.bad && r.pos == len(r.b)
}

// unitOffset is the offset from the unit's header that a reference within the unit holds.
func (v Value) unitOffset() (uint64, bool) {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		return v.num, true
	}
	return 0, false
}

// entry follows a reference.
func (v Value) entry() (Entry, error) {
	u := v.unit
	if off, ok := v.unitOffset(); ok {
		if off >= u.end-u.off {
			return Entry{}, fmt.Errorf("%#x is outside the unit", off)
		}
		return u.At(u.off + off)
	}
	switch v.form {
	case formRefAddr:
		return u.Data.At(v.num)
	case formRefSup4, formRefSup8, formGNURefAlt:
		if u.Data.Sup == nil {
			return Entry{}, ErrNoSup
		}
		return u.Data.Sup.At(v.num)
	case formRefSig8:
		return u.Data.signature(v.num)
	}
	return Entry{}, fmt.Errorf("form %#x is no reference", uint32(v.form))
}

// address is an entry of .debug_addr.
func (u *Unit) address(index uint64) (uint64, error) {
	b, err := u.readBases()
	if err != nil {
		return 0, err
	}
	return u.Data.indexed(".debug_addr", b.addr, index, u.addrSize)
}

// indexed reads the index-th number of n bytes after base.
func (d *Data) indexed(section string, base, index uint64, n int) (uint64, error) {
	b, err := d.Bytes(section)
	if err != nil {
		return 0, err
	}
	size := uint64(len(b))
	if n != 4 && n != 8 || base > size || index >= (size-base)/uint64(n) {
		return 0, fmt.Errorf("%s: entry %d after %#x is outside the section", section, index, base)
	}
	r := buf{b: b[base+index*uint64(n):], order: d.Order}
	return r.uint(n), r.err()
}

// text reads the string at an offset of a section.
func (d *Data) text(section string, off uint64) ([]byte, error) {
	b, err := d.Bytes(section)
	if err != nil {
		return nil, err
	}
	if off >= uint64(len(b)) {
		return nil, fmt.Errorf("%s: no string at %#x", section, off)
	}
	b = b[off:]
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		return nil, fmt.Errorf("%s: string at %#x: %w", section, off, errTruncated)
	}
	return b[:n], nil
}
