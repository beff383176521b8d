package ctype

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
)

// Place is a member of a structure as a table has it. In JSON it is the offset alone, [offset, size], or [offset, size, count] of an array.
type Place struct {
	Offset uint64 // bytes
	Size   uint64 // bytes, of an element if it is an array; 0: not known
	Count  uint64 // elements of an array; 0: no array
}

// UnmarshalJSON reads any of the three forms.
func (p *Place) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.Offset); err == nil {
		return nil
	}
	var list []uint64
	if err := json.Unmarshal(b, &list); err != nil || len(list) < 2 || len(list) > 3 || list[1] == 0 {
		return fmt.Errorf("%s is no offset, [offset, size] or [offset, size, count]", b)
	}
	p.Offset, p.Size = list[0], list[1]
	if len(list) == 3 {
		if p.Count = list[2]; p.Count == 0 {
			return fmt.Errorf("%s: an array without elements", b)
		}
	}
	return nil
}

// MarshalJSON writes the shortest form.
func (p Place) MarshalJSON() ([]byte, error) {
	switch {
	case p.Count != 0:
		return fmt.Appendf(nil, "[%d,%d,%d]", p.Offset, p.Size, p.Count), nil
	case p.Size != 0:
		return fmt.Appendf(nil, "[%d,%d]", p.Offset, p.Size), nil
	}
	return fmt.Append(nil, p.Offset), nil
}

// field is the place as a Field. Of an array the element is known by its size only.
func (p Place) field() Field {
	if p.Count == 0 {
		return Field{Offset: p.Offset, Size: p.Size}
	}
	return Field{Offset: p.Offset, Size: p.Size * p.Count, Kind: KindArray, Elem: &Field{Offset: p.Offset, Size: p.Size}, Count: p.Count}
}

// within says whether the place lies in a structure of size bytes. What is not known is not counted.
func (p Place) within(size uint64) bool {
	over, whole := bits.Mul64(p.Size, max(p.Count, 1))
	end, carry := bits.Add64(p.Offset, whole, 0)
	return over == 0 && carry == 0 && p.Offset < size && end <= size
}

// places are the members of a structure by path. The path of a member of an array's elements has empty brackets: "segs[].base", which
// is that of the first element.
type places map[string]Place

// find is the place of a path with indices, as "segs[3].base".
func (m places) find(path string) (Place, bool) {
	if p, ok := m[path]; ok {
		return p, true
	}
	steps, err := parsePath(path)
	if err != nil {
		return Place{}, false
	}
	var known strings.Builder // the path so far, as the table has it
	moved, last := uint64(0), Place{}
	for i, s := range steps {
		if s.name != "" {
			if i > 0 {
				known.WriteByte('.')
			}
			known.WriteString(s.name)
			continue
		}
		array, ok := m[known.String()]
		if !ok || s.index >= array.Count {
			return Place{}, false
		}
		moved += s.index * array.Size
		last = Place{Offset: array.Offset, Size: array.Size}
		known.WriteString("[]")
	}
	p, ok := m[known.String()]
	if !ok {
		if steps[len(steps)-1].name != "" {
			return Place{}, false
		}
		p = last
	}
	p.Offset += moved
	return p, true
}
