package die

import (
	"debug/dwarf"
	"fmt"
)

// abbrev is one abbreviation: the tag and the shape of the attributes of the entries that use it.
type abbrev struct {
	tag      dwarf.Tag
	children bool
	specs    []spec
	size     int // bytes of the attributes if every form has a fixed size; else -1
}

// spec is one attribute of an abbreviation.
type spec struct {
	attr     dwarf.Attr
	form     form
	implicit int64 // the value of DW_FORM_implicit_const
}

// abbrevs is one table of abbreviations. Producers count codes from 1, so that most tables need no map.
type abbrevs struct {
	dense  []abbrev // code-1
	sparse map[uint64]*abbrev
}

// abbrevKey says what a table depends on: its place, and the unit's sizes.
type abbrevKey struct {
	off               uint64
	version, addrSize int
	is64              bool
}

// maxSpecs bounds the attributes of one abbreviation; compilers write a few dozen.
const maxSpecs = 1024

// maxAbbrevs bounds the tables that are kept for other units. Only dwz and -flto share tables.
const maxAbbrevs = 64

func (t abbrevs) at(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	return t.sparse[code]
}

// readAbbrevs reads the unit's table out of .debug_abbrev.
func (u *Unit) readAbbrevs() (abbrevs, error) {
	key := abbrevKey{u.abbrev, u.Version, u.addrSize, u.is64}
	if t, ok := u.Data.abbrevs[key]; ok {
		return t, nil
	}
	b, err := u.Data.Bytes(".debug_abbrev")
	if err != nil {
		return abbrevs{}, err
	}
	if u.abbrev > uint64(len(b)) {
		return abbrevs{}, fmt.Errorf("abbreviations at %#x: .debug_abbrev has %#x bytes", u.abbrev, len(b))
	}
	r := buf{b: b[u.abbrev:], order: u.Data.Order}
	t := abbrevs{dense: make([]abbrev, 0, 128)}
	specs := make([]spec, 0, 1024) // shared by all abbreviations of the table
	for code := r.uleb(); code != 0; code = r.uleb() {
		var a abbrev
		a, specs = u.readAbbrev(&r, specs)
		if r.bad {
			break
		}
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
			continue
		}
		if t.sparse == nil {
			t.sparse = map[uint64]*abbrev{}
		}
		t.sparse[code] = &a
	}
	if r.bad {
		return abbrevs{}, fmt.Errorf("abbreviations at %#x: %w", u.abbrev, errTruncated)
	}
	if len(u.Data.abbrevs) >= maxAbbrevs {
		clear(u.Data.abbrevs)
	}
	u.Data.abbrevs[key] = t
	return t, nil
}

func (u *Unit) readAbbrev(r *buf, specs []spec) (abbrev, []spec) {
	a := abbrev{tag: dwarf.Tag(r.uleb()), children: r.uint(1) != 0}
	begin := len(specs)
	for !r.bad {
		s := spec{attr: dwarf.Attr(r.uleb()), form: form(r.uleb())}
		if s.attr == 0 && s.form == 0 {
			break
		}
		if len(specs)-begin >= maxSpecs {
			r.bad = true
		}
		if s.form == formImplicitConst {
			s.implicit = r.sleb()
		}
		specs = append(specs, s)
		if n := s.form.size(u); n >= 0 && a.size >= 0 {
			a.size += n
		} else {
			a.size = -1
		}
	}
	a.specs = specs[begin:len(specs):len(specs)]
	return a, specs
}
