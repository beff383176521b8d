package ctype

import (
	"debug/dwarf"
	"fmt"
)

// record is a structure or union in debug information. Its members are read on the first question.
type record struct {
	d    *DWARF
	def  entry
	size uint64

	list []member
	read bool
}

// member is one member as it stands in the debug information.
type member struct {
	name   string // "": an anonymous structure or union, or a base class
	offset uint64 // bytes
	size   uint64 // bytes of a bit-field's storage where the producer says it; else 0
	typ    entry
	bits   *bitPlace
}

// bitPlace is where a bit-field lies, as the producer says it.
type bitPlace struct {
	width  uint64
	offset uint64
	// old: offset counts from the most significant bit of the storage to that of the field (DW_AT_bit_offset, before DWARF 4); else from
	// the first bit of the structure in memory order (DW_AT_data_bit_offset).
	old bool
}

// newRecord reads the definition that a structure, a union, or a typedef of one leads to.
func (d *DWARF) newRecord(e entry) (*record, error) {
	t, err := d.resolve(e)
	if err != nil {
		return nil, err
	}
	if t.rec == nil {
		return nil, ErrNoStruct
	}
	return t.rec, nil
}

// fields reads the members. The caller holds d.mu.
func (r *record) fields() ([]member, error) {
	if r.read {
		return r.list, nil
	}
	var list []member
	for c, err := range r.def.children() {
		if err != nil {
			return nil, err
		}
		if c.Tag != dwarf.TagMember && c.Tag != dwarf.TagInheritance || c.flag(dwarf.AttrExternal) {
			continue // a method, a nested type, a static member
		}
		m, err := readMember(c)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	r.list, r.read = list, true
	return list, nil
}

func readMember(e entry) (member, error) {
	m := member{name: e.name()}
	var ok bool
	var err error
	if m.typ, ok, err = e.ref(dwarf.AttrType); err != nil {
		return m, err
	} else if !ok {
		return m, fmt.Errorf("member %q at %#x has no type", m.name, e.Offset)
	}
	switch place := e.Val(dwarf.AttrDataMemberLoc).(type) {
	case nil: // of a union
	case int64:
		m.offset = uint64(place)
	default:
		expr, _ := place.([]byte)
		if m.offset, ok = operand(expr, opPlusUconst); !ok {
			return m, fmt.Errorf("member %q at %#x: its place is computed at run time", m.name, e.Offset)
		}
	}
	width, ok := e.number(dwarf.AttrBitSize)
	if !ok {
		return m, nil
	}
	m.bits = &bitPlace{width: width}
	m.size, _ = e.number(dwarf.AttrByteSize)
	if m.bits.offset, ok = e.number(dwarf.AttrDataBitOffset); ok {
		return m, nil
	}
	if m.bits.offset, m.bits.old = e.number(dwarf.AttrBitOffset); !m.bits.old {
		m.bits.offset = 8 * m.offset
	}
	return m, nil
}

// field finds a member by its path.
func (r *record) field(path string) (_ Field, err error) {
	steps, err := parsePath(path)
	if err != nil {
		return Field{}, err
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	defer recovered(&err)
	at := ctyp{Field: Field{Kind: KindStruct}, rec: r}
	for _, s := range steps {
		if at, err = r.d.step(at, s); err != nil {
			return Field{}, r.d.explain(err)
		}
	}
	return at.Field, nil
}

// step goes from a type at an offset to a member or an element of it.
func (d *DWARF) step(at ctyp, s step) (ctyp, error) {
	if s.name == "" {
		if at.Kind != KindArray {
			return ctyp{}, fmt.Errorf("[%d] of a %s, which is no array: %w", s.index, at.Type, ErrNoMember)
		}
		if at.Count > 0 && s.index >= at.Count {
			return ctyp{}, fmt.Errorf("[%d] of %d elements: %w", s.index, at.Count, ErrNoMember)
		}
		to := *at.elem
		to.Offset = at.Offset + s.index*to.Size
		return to.moved(), nil
	}
	if at.rec == nil {
		return ctyp{}, fmt.Errorf("%s of a %s, which is no structure: %w", s.name, at.Type, ErrNoMember)
	}
	budget := maxAnonymous
	to, ok, err := d.member(at.rec, s.name, &budget)
	if err != nil {
		return ctyp{}, err
	}
	if !ok {
		return ctyp{}, ErrNoMember
	}
	to.Offset += at.Offset
	return to.moved(), nil
}

// maxAnonymous bounds the anonymous structures that are searched for one member: damaged debug information may have one inside itself.
const maxAnonymous = 10_000

// member finds a member by name, also inside anonymous members.
func (d *DWARF) member(r *record, name string, budget *int) (ctyp, bool, error) {
	if *budget--; *budget < 0 {
		return ctyp{}, false, fmt.Errorf("more than %d anonymous structures", maxAnonymous)
	}
	list, err := r.fields()
	if err != nil {
		return ctyp{}, false, err
	}
	for _, m := range list {
		if m.name == name {
			t, err := d.place(m, r.size)
			return t, true, err
		}
	}
	for _, m := range list {
		if m.name != "" || m.bits != nil {
			continue
		}
		t, err := d.resolve(m.typ)
		if err != nil {
			return ctyp{}, false, err
		}
		if t.rec == nil {
			continue
		}
		to, ok, err := d.member(t.rec, name, budget)
		if ok || err != nil {
			to.Offset += m.offset
			return to, ok, err
		}
	}
	return ctyp{}, false, nil
}

// place gives a member's type at its offset in a structure of size bytes.
func (d *DWARF) place(m member, size uint64) (ctyp, error) {
	t, err := d.resolve(m.typ)
	if err != nil {
		return ctyp{}, err
	}
	t.Offset = m.offset
	if m.bits == nil {
		return t, nil
	}
	if m.size != 0 {
		t.Size = m.size
	}
	b := *m.bits
	if b.old {
		if 8*t.Size < b.offset+b.width {
			return ctyp{}, fmt.Errorf("bit-field %q: %d bits at %d of %d bytes", m.name, b.width, b.offset, t.Size)
		}
		t.Bits = &Bits{Shift: 8*t.Size - b.offset - b.width, Width: b.width}
		return t, nil
	}
	// The storage is the aligned unit of the declared type, as compilers load it; a packed field may not fit that, then it is as many
	// bytes as it needs.
	if t.Size == 0 {
		return ctyp{}, fmt.Errorf("bit-field %q has a type without a size", m.name)
	}
	t.Offset = b.offset / 8 / t.Size * t.Size
	if b.offset+b.width > 8*(t.Offset+t.Size) || size != 0 && t.Offset+t.Size > size {
		t.Offset = b.offset / 8
		t.Size = (b.offset%8 + b.width + 7) / 8
	}
	shift := b.offset - 8*t.Offset
	if !d.littleEndian() {
		shift = 8*t.Size - shift - b.width
	}
	t.Bits = &Bits{Shift: shift, Width: b.width}
	return t, nil
}
