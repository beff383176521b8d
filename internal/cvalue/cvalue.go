// Package cvalue reads C objects out of a process: a structure at an address,
// its members by path, the objects its pointers lead to.
//
// The layout comes from package ctype, the bytes from any io.ReaderAt; the
// package knows neither where those come from nor what the objects mean. An
// [Object] keeps its first error, so that a chain of reads is checked once, at
// its end.
package cvalue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

// ErrNull is the error of following a null pointer.
var ErrNull = errors.New("null pointer")

// Space is a process's memory together with the layouts of what is in it.
type Space struct {
	Mem         io.ReaderAt // offsets are HVAs
	Order       binary.ByteOrder
	PointerSize int // bytes, 4 or 8
	Layouts     ctype.Layouts
}

// Object is a structure at an address. It is not safe for concurrent use.
type Object struct {
	Addr  addr.HVA
	space *Space
	typ   *ctype.Struct
	err   error
}

// At is the object of a structure type at an address. A null address or an
// unknown type is the object's first error.
func (s *Space) At(a addr.HVA, typ string) *Object {
	o := &Object{Addr: a, space: s}
	if o.typ, o.err = s.Layouts.Struct(typ); o.err != nil {
		return o
	}
	if a == 0 {
		o.err = fmt.Errorf("%s: %w", typ, ErrNull)
	}
	return o
}

// Err is the first error met while reading the object.
func (o *Object) Err() error { return o.err }

// Size is sizeof the object's type, 0 if the layout does not say.
func (o *Object) Size() uint64 {
	if o.typ == nil {
		return 0
	}
	return o.typ.Size
}

// Has reports whether the type has a member at path.
func (o *Object) Has(path string) bool { return o.typ != nil && o.typ.Has(path) }

// Field is what the layout says of a member; false if the type has none there.
func (o *Object) Field(path string) (ctype.Field, bool) {
	if !o.Has(path) {
		return ctype.Field{}, false
	}
	f, err := o.typ.Field(path)
	return f, err == nil
}

// AddrOf is the address of a member.
func (o *Object) AddrOf(path string) addr.HVA {
	f, ok := o.field(path, 0)
	if !ok {
		return 0
	}
	return o.Addr + addr.HVA(f.Offset)
}

// field finds a member and checks the size it is about to be read with.
func (o *Object) field(path string, size uint64) (ctype.Field, bool) {
	if o.err != nil {
		return ctype.Field{}, false
	}
	f, err := o.typ.Field(path)
	if err == nil && size != 0 && f.Size != 0 && f.Size != size {
		err = fmt.Errorf("struct %s: %s has %d bytes, expected %d", o.typ.Name, path, f.Size, size)
	}
	o.err = err
	return f, err == nil
}

// bytes reads the first size bytes of a member; nil on error.
func (o *Object) bytes(path string, size uint64) []byte {
	f, ok := o.field(path, size)
	if !ok {
		return nil
	}
	p := make([]byte, size)
	if _, err := o.space.Mem.ReadAt(p, int64(o.Addr)+int64(f.Offset)); err != nil {
		o.err = fmt.Errorf("reading %s.%s at %#x: %w", o.typ.Name, path, uint64(o.Addr)+f.Offset, err)
		return nil
	}
	return p
}

// Uint8 reads a one-byte member, Bool one that is 0 or 1.
func (o *Object) Uint8(path string) uint8 {
	if p := o.bytes(path, 1); p != nil {
		return p[0]
	}
	return 0
}

// Bool reads a bool. Any other value than 0 and 1 is an error: it tells of a
// wrong layout.
func (o *Object) Bool(path string) bool {
	v := o.Uint8(path)
	if v > 1 && o.err == nil {
		o.err = fmt.Errorf("%s.%s at %#x is %d, not a bool", o.typ.Name, path, uint64(o.Addr), v)
	}
	return v == 1
}

// Uint32 reads a four-byte member.
func (o *Object) Uint32(path string) uint32 {
	if p := o.bytes(path, 4); p != nil {
		return o.space.Order.Uint32(p)
	}
	return 0
}

// Uint64 reads an eight-byte member.
func (o *Object) Uint64(path string) uint64 {
	if p := o.bytes(path, 8); p != nil {
		return o.space.Order.Uint64(p)
	}
	return 0
}

// Uint reads an unsigned integer of the size that the layout says: of members
// whose type changed, a target_ulong, a bool that was an int.
func (o *Object) Uint(path string) uint64 {
	f, ok := o.field(path, 0)
	if !ok {
		return 0
	}
	return o.uint(path, o.bytes(path, f.Size))
}

// Uints reads an array of unsigned integers of any size.
func (o *Object) Uints(path string) []uint64 {
	f, ok := o.field(path, 0)
	if !ok {
		return nil
	}
	if f.Elem == nil || f.Elem.Size == 0 {
		o.err = fmt.Errorf("struct %s: %s is no array of known size", o.typ.Name, path)
		return nil
	}
	p := o.bytes(path, f.Count*f.Elem.Size)
	var out []uint64
	for ; o.err == nil && len(p) > 0; p = p[f.Elem.Size:] {
		out = append(out, o.uint(path, p[:f.Elem.Size]))
	}
	return out
}

// uint is the number in p, which is a member of the object.
func (o *Object) uint(path string, p []byte) uint64 {
	switch len(p) {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(o.space.Order.Uint16(p))
	case 4:
		return uint64(o.space.Order.Uint32(p))
	case 8:
		return o.space.Order.Uint64(p)
	}
	if o.err == nil {
		o.err = fmt.Errorf("struct %s: %s has %d bytes, not those of an integer", o.typ.Name, path, len(p))
	}
	return 0
}

// Ulong reads a member of the size of a pointer: a ram_addr_t, a size_t.
func (o *Object) Ulong(path string) uint64 {
	if p := o.bytes(path, uint64(o.space.PointerSize)); p != nil {
		return o.space.Word(p)
	}
	return 0
}

// Bytes reads a member of size bytes as it lies in memory; nil on error.
func (o *Object) Bytes(path string, size uint64) []byte { return o.bytes(path, size) }

// Pointer reads a pointer.
func (o *Object) Pointer(path string) addr.HVA { return addr.HVA(o.Ulong(path)) }

// Deref is the object that a pointer leads to. An error so far, a null pointer
// included, becomes the new object's own.
func (o *Object) Deref(path, typ string) *Object {
	a := o.Pointer(path)
	if o.err == nil && a == 0 {
		return &Object{space: o.space, err: fmt.Errorf("%s.%s at %#x: %w", o.typ.Name, path, uint64(o.Addr), ErrNull)}
	}
	if o.err != nil {
		return &Object{space: o.space, err: o.err}
	}
	return o.space.At(a, typ)
}

// Uint128 reads a 128-bit number: the compiler's own, whose words lie in the
// order of the machine, or a struct Int128 { lo, hi }.
func (o *Object) Uint128(path string) (hi, lo uint64) {
	f, ok := o.field(path, 16)
	if !ok {
		return 0, 0
	}
	if f.Kind == ctype.KindStruct {
		return o.Uint64(path + ".hi"), o.Uint64(path + ".lo")
	}
	p := o.bytes(path, 16)
	if p == nil {
		return 0, 0
	}
	first, second := o.space.Order.Uint64(p), o.space.Order.Uint64(p[8:])
	if o.space.Order == binary.BigEndian {
		return first, second
	}
	return second, first
}

// String reads the NUL-ended string that a char pointer leads to, of at most
// max bytes.
func (o *Object) String(path string, max int) string {
	a := o.Pointer(path)
	if o.err != nil {
		return ""
	}
	s, err := o.space.String(a, max)
	if err != nil {
		o.err = fmt.Errorf("%s.%s: %w", o.typ.Name, path, err)
	}
	return s
}

// CharArray reads a NUL-ended string inside the object, in an array of max
// bytes.
func (o *Object) CharArray(path string, max int) string {
	f, ok := o.field(path, uint64(max))
	if !ok {
		return ""
	}
	s, err := o.space.String(o.Addr+addr.HVA(f.Offset), max)
	if err != nil {
		o.err = fmt.Errorf("%s.%s: %w", o.typ.Name, path, err)
	}
	return s
}

// Word is the number in the first bytes of p, as many as a pointer has.
func (s *Space) Word(p []byte) uint64 {
	if s.PointerSize == 4 {
		return uint64(s.Order.Uint32(p))
	}
	return s.Order.Uint64(p)
}

// Pointer reads the pointer at a.
func (s *Space) Pointer(a addr.HVA) (addr.HVA, error) {
	var p [8]byte
	if _, err := s.Mem.ReadAt(p[:s.PointerSize], int64(a)); err != nil {
		return 0, fmt.Errorf("reading a pointer at %#x: %w", uint64(a), err)
	}
	return addr.HVA(s.Word(p[:])), nil
}

// String reads a NUL-ended string of at most max bytes, the NUL included.
func (s *Space) String(a addr.HVA, max int) (string, error) {
	if a == 0 {
		return "", fmt.Errorf("string: %w", ErrNull)
	}
	p := make([]byte, max)
	n, err := s.Mem.ReadAt(p, int64(a))
	if i := bytes.IndexByte(p[:n], 0); i >= 0 {
		return string(p[:i]), nil
	}
	if err == nil {
		err = fmt.Errorf("no NUL in %d bytes", max)
	}
	return "", fmt.Errorf("reading a string at %#x: %w", uint64(a), err)
}
