package ctype

import (
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"strings"
)

// ctyp is a type: a Field without a place, and what lies inside.
type ctyp struct {
	Field
	rec  *record // of a struct or union that is complete
	elem *ctyp   // of an array
}

// moved puts an array's element where the array is.
func (t ctyp) moved() ctyp {
	if t.elem != nil {
		elem := *t.elem
		elem.Offset = t.Offset
		elem = elem.moved()
		t.elem, t.Elem = &elem, &elem.Field
	}
	return t
}

// maxChain bounds chains of typedefs, qualifiers, arrays and anonymous structures. A chain in real debug information is short; a
// longer one is a circle.
const maxChain = 64

func (d *DWARF) littleEndian() bool { return d.file.order == binary.ByteOrder(binary.LittleEndian) }

// resolve reads a type through its typedefs and qualifiers.
func (d *DWARF) resolve(e entry) (ctyp, error) { return d.typ(e, 0) }

func (d *DWARF) typ(e entry, depth int) (ctyp, error) {
	if depth > maxChain {
		return ctyp{}, fmt.Errorf("type at %#x: a chain of more than %d types", e.Offset, maxChain)
	}
	switch e.Tag {
	case dwarf.TagStructType, dwarf.TagClassType, dwarf.TagUnionType:
		return d.recordType(e, depth)
	case dwarf.TagBaseType:
		return baseType(e), nil
	case dwarf.TagPointerType, dwarf.TagReferenceType, dwarf.TagRvalueReferenceType:
		return d.pointerType(e, depth)
	case dwarf.TagArrayType:
		return d.arrayType(e, depth)
	case dwarf.TagEnumerationType:
		return d.enumType(e, depth)
	case dwarf.TagSubroutineType:
		return ctyp{Field: Field{Kind: KindFunc, Type: "function"}}, nil
	case dwarf.TagUnspecifiedType:
		return ctyp{Field: Field{Kind: KindVoid, Type: e.name()}}, nil
	case dwarf.TagTypedef:
		t, err := d.inner(e, depth)
		t.Type = e.name()
		if t.rec != nil && t.Target == "" {
			t.Target = t.Type // typedef struct { … } Name
		}
		return t, err
	case dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType:
		t, err := d.inner(e, depth)
		t.Type = qualified(t, e.Tag)
		return t, err
	}
	return ctyp{}, fmt.Errorf("type at %#x: %v is none that C has", e.Offset, e.Tag)
}

// inner is the type that a type is made of; none is void.
func (d *DWARF) inner(e entry, depth int) (ctyp, error) {
	to, ok, err := e.ref(dwarf.AttrType)
	if err != nil {
		return ctyp{}, err
	}
	if !ok {
		return ctyp{Field: Field{Kind: KindVoid, Type: "void"}}, nil
	}
	return d.typ(to, depth+1)
}

// qualified spells a qualifier: before most types, after a pointer.
func qualified(t ctyp, tag dwarf.Tag) string {
	word := map[dwarf.Tag]string{dwarf.TagConstType: "const", dwarf.TagVolatileType: "volatile",
		dwarf.TagRestrictType: "restrict", dwarf.TagAtomicType: "_Atomic"}[tag]
	if t.Kind == KindPointer {
		return t.Type + " " + word
	}
	return word + " " + t.Type
}

// recordType reads a structure or union. One that is only declared in its unit is completed from another, if one has it.
func (d *DWARF) recordType(e entry, depth int) (ctyp, error) {
	t := ctyp{Field: Field{Kind: KindStruct, Target: e.name()}}
	keyword := "struct "
	if e.Tag == dwarf.TagUnionType {
		t.Kind, keyword = KindUnion, "union "
	}
	t.Type = keyword + t.Target
	if t.Target == "" {
		t.Type = keyword + "{...}"
	}
	if to, ok, err := e.ref(dwarf.AttrSignature); err != nil {
		return ctyp{}, err
	} else if ok && depth <= maxChain {
		return d.typ(to, depth+1) // a stub that stands for the type of a type unit
	}
	if e.flag(dwarf.AttrDeclaration) {
		r, err := d.record(t.Target)
		if err != nil {
			return ctyp{}, fmt.Errorf("%s, which is declared only: %w", t.Type, err)
		}
		t.rec, t.Size = r, r.size
		return t, nil
	}
	t.Size = byteSize(e)
	t.rec = &record{d: d, def: e, size: t.Size}
	return t, nil
}

// Encodings of base types, DWARF 5 §7.8 (DW_ATE_*).
const (
	encBoolean      = 0x02
	encComplexFloat = 0x03
	encFloat        = 0x04
	encSigned       = 0x05
	encSignedChar   = 0x06
	encDecimalFloat = 0x0f
)

func baseType(e entry) ctyp {
	t := ctyp{Field: Field{Kind: KindInt, Type: e.name(), Size: byteSize(e)}}
	enc, _ := e.number(dwarf.AttrEncoding)
	switch enc {
	case encBoolean:
		t.Kind = KindBool
	case encFloat, encComplexFloat, encDecimalFloat:
		t.Kind = KindFloat
	case encSigned, encSignedChar:
		t.Signed = true
	}
	return t
}

func byteSize(e entry) uint64 {
	n, _ := e.number(dwarf.AttrByteSize)
	return n
}

func (d *DWARF) pointerType(e entry, depth int) (ctyp, error) {
	t := ctyp{Field: Field{Kind: KindPointer, Size: byteSize(e)}}
	if t.Size == 0 {
		t.Size = uint64(e.addrSize())
	}
	spelled, target, err := d.pointee(e, depth)
	if err != nil {
		return ctyp{}, err
	}
	t.Target = target
	t.Type = spelled + "*"
	if !strings.HasSuffix(spelled, "*") {
		t.Type = spelled + " *"
	}
	return t, nil
}

// pointee spells what a pointer points to, and names the structure if it is one. It reads no further than the name: the structure may be
// unknown, or contain the pointer.
func (d *DWARF) pointee(e entry, depth int) (spelled, target string, err error) {
	to, ok, err := e.ref(dwarf.AttrType)
	if err != nil {
		return "", "", err
	}
	if !ok {
		return "void", "", nil
	}
	switch to.Tag {
	case dwarf.TagStructType, dwarf.TagClassType:
		return "struct " + to.name(), to.name(), nil
	case dwarf.TagUnionType:
		return "union " + to.name(), to.name(), nil
	case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType:
		if depth > maxChain {
			return "", "", fmt.Errorf("type at %#x: a chain of more than %d types", e.Offset, maxChain)
		}
		spelled, target, err = d.pointee(to, depth+1)
		if to.Tag != dwarf.TagTypedef {
			return qualified(ctyp{Field: Field{Type: spelled}}, to.Tag), target, err
		}
		if target == "" && isRecord(to) {
			target = to.name()
		}
		return to.name(), target, err
	}
	t, err := d.typ(to, depth+1)
	return t.Type, "", err
}

// arrayType reads an array; of more dimensions than one, an array of arrays.
func (d *DWARF) arrayType(e entry, depth int) (ctyp, error) {
	elem, err := d.inner(e, depth)
	if err != nil {
		return ctyp{}, err
	}
	var counts []uint64
	for c, err := range e.children() {
		if err != nil {
			return ctyp{}, err
		}
		if c.Tag == dwarf.TagSubrangeType {
			counts = append(counts, elements(c))
		}
	}
	if len(counts) > maxChain {
		return ctyp{}, fmt.Errorf("type at %#x: an array of %d dimensions", e.Offset, len(counts))
	}
	if counts == nil {
		counts = []uint64{0}
	}
	dims := ""
	for i := len(counts) - 1; i >= 0; i-- {
		if counts[i] != 0 && elem.Size > 1<<62/counts[i] {
			return ctyp{}, fmt.Errorf("type at %#x: an array of %d elements of %d bytes", e.Offset, counts[i], elem.Size)
		}
		dims = fmt.Sprintf("[%d]", counts[i]) + dims
		inner := elem
		elem = ctyp{elem: &inner, Field: Field{Kind: KindArray, Size: counts[i] * inner.Size, Count: counts[i],
			Elem: &inner.Field, Target: inner.Target}}
		elem.Type = arrayName(e, inner, dims)
	}
	return elem, nil
}

// arrayName spells an array as C does, "char [256]".
func arrayName(e entry, inner ctyp, dims string) string {
	for inner.Kind == KindArray && inner.elem != nil {
		inner = *inner.elem
	}
	return inner.Type + " " + dims
}

// elements is the number of elements of one dimension, 0 for a flexible array.
func elements(e entry) uint64 {
	if n, ok := e.number(dwarf.AttrCount); ok {
		return n
	}
	if n, ok := e.number(dwarf.AttrUpperBound); ok && n+1 <= 1<<62 { // gcc gives [0] the upper bound -1
		return n + 1
	}
	return 0
}

// enumType reads an enumeration. It is signed if its integer type is, or failing that if an enumerator is negative.
func (d *DWARF) enumType(e entry, depth int) (ctyp, error) {
	t := ctyp{Field: Field{Kind: KindEnum, Size: byteSize(e), Type: "enum " + e.name()}}
	if e.Val(dwarf.AttrType) != nil {
		base, err := d.inner(e, depth)
		if err != nil {
			return ctyp{}, err
		}
		t.Signed = base.Signed
		if t.Size == 0 {
			t.Size = base.Size
		}
		return t, nil
	}
	for c, err := range e.children() {
		if err != nil {
			return ctyp{}, err
		}
		if n, ok := c.Val(dwarf.AttrConstValue).(int64); ok && n < 0 {
			t.Signed = true
		}
	}
	return t, nil
}
