package die

import (
	"debug/dwarf"
	"fmt"
	"iter"
)

// Entry is one debugging information entry. The zero Entry is none.
type Entry struct {
	Tag dwarf.Tag

	in     *loaded
	off    uint64 // in the unit's section
	abbrev *abbrev
	attrs  int // index in the unit's bytes of the first attribute
	end    int // index after the last one
}

// loaded is a unit in memory.
type loaded struct {
	unit    *Unit
	bytes   []byte // from the header to the end
	abbrevs abbrevs
}

// maxDepth bounds how deep entries lie in each other; compilers stay below a hundred.
const maxDepth = 4096

// Off is the entry's offset in its section. With the unit it identifies the entry.
func (e Entry) Off() uint64 { return e.off }

// HasChildren says whether entries may lie inside.
func (e Entry) HasChildren() bool { return e.abbrev.children }

// Unit is where the entry lies.
func (e Entry) Unit() *Unit { return e.in.unit }

// At reads the entry at an offset of the unit's section. That an entry begins there is the caller's word.
func (u *Unit) At(off uint64) (Entry, error) {
	in, err := u.load()
	if err != nil {
		return Entry{}, err
	}
	if off < u.first || off >= u.end {
		return Entry{}, fmt.Errorf("%s: no entry at %#x in the unit at %#x", u.section, off, u.off)
	}
	e, err := in.entry(int(off - u.off))
	if err == nil && e.abbrev == nil {
		err = fmt.Errorf("%s: no entry at %#x but the end of a list", u.section, off)
	}
	return e, err
}

// entry reads the entry at an index of the unit's bytes. The null entry that ends a list has no abbrev.
func (l *loaded) entry(pos int) (Entry, error) {
	u := l.unit
	e := Entry{in: l, off: u.off + uint64(pos)}
	r := buf{b: l.bytes, pos: pos, order: u.Data.Order}
	code := r.uleb()
	e.attrs = r.pos
	if code != 0 && !r.bad {
		if e.abbrev = l.abbrevs.at(code); e.abbrev == nil {
			return Entry{}, fmt.Errorf("%s: entry at %#x: no abbreviation %d", u.section, e.off, code)
		}
		e.Tag = e.abbrev.tag
		if e.abbrev.size >= 0 {
			r.bytes(uint64(e.abbrev.size))
		} else {
			for _, s := range e.abbrev.specs {
				s.form.read(&r, u, 0)
			}
		}
	}
	e.end = r.pos
	if r.bad {
		return Entry{}, fmt.Errorf("%s: entry at %#x: %w", u.section, e.off, errTruncated)
	}
	return e, nil
}

// Attr gives an attribute's value.
func (e Entry) Attr(a dwarf.Attr) (Value, bool) {
	if e.abbrev == nil {
		return Value{}, false
	}
	u := e.in.unit
	r := buf{b: e.in.bytes, pos: e.attrs, order: u.Data.Order}
	for _, s := range e.abbrev.specs {
		v := s.form.read(&r, u, s.implicit)
		if s.attr == a {
			return v, !r.bad
		}
	}
	return Value{}, false
}

// Flag says whether a flag is set.
func (e Entry) Flag(a dwarf.Attr) bool {
	v, ok := e.Attr(a)
	return ok && v.num != 0
}

// Name is DW_AT_name, "" if there is none.
func (e Entry) Name() string {
	if v, ok := e.Attr(dwarf.AttrName); ok {
		if s, err := v.Text(); err == nil {
			return s
		}
	}
	return ""
}

// Named says whether DW_AT_name is s.
func (e Entry) Named(s string) bool {
	v, ok := e.Attr(dwarf.AttrName)
	return ok && v.isText(s)
}

// Ref follows a reference to another entry, in this file or the supplementary one. Without the attribute ok is false.
func (e Entry) Ref(a dwarf.Attr) (to Entry, ok bool, err error) {
	v, ok := e.Attr(a)
	if !ok {
		return Entry{}, false, nil
	}
	to, err = v.entry()
	if err != nil {
		return Entry{}, true, fmt.Errorf("%s of the entry at %#x: %w", a, e.off, err)
	}
	return to, true, nil
}

// Step is one entry on a walk.
type Step struct {
	Entry
	Depth int // 1 for a child of where the walk began
}

// Children yields the entries right inside e, in file order. The last pair has the error that ended the walk, if one did.
func (e Entry) Children() iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) { e.walk(false, yield) }
}

// Walk yields every entry inside e, to any depth and in file order. The last pair has the error that ended the walk, if one did.
func (e Entry) Walk() iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) { e.walk(true, yield) }
}

func (e Entry) walk(deep bool, yield func(Step, error) bool) {
	if e.abbrev == nil || !e.abbrev.children {
		return
	}
	for pos, depth := e.end, 1; depth > 0; {
		c, err := e.in.entry(pos)
		if err == nil && depth > maxDepth {
			err = fmt.Errorf("%s: entry at %#x: %d levels deep", e.in.unit.section, c.off, depth)
		}
		if err != nil {
			yield(Step{}, err)
			return
		}
		pos = c.end
		if c.abbrev == nil {
			depth--
			continue
		}
		if (deep || depth == 1) && !yield(Step{Entry: c, Depth: depth}, nil) {
			return
		}
		if !c.abbrev.children {
			continue
		}
		if next, ok := c.sibling(); ok && !deep {
			pos = next
			continue
		}
		depth++
	}
}

// sibling is the index in bytes of the next entry beside e, where the producer says it.
func (e Entry) sibling() (int, bool) {
	v, ok := e.Attr(dwarf.AttrSibling)
	if !ok {
		return 0, false
	}
	off, ok := v.unitOffset()
	if !ok || off < uint64(e.end) || off >= uint64(len(e.in.bytes)) {
		return 0, false
	}
	return int(off), true
}
