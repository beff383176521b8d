package ctype

import (
	"bytes"
	"debug/dwarf"
	"iter"
	"slices"
)

// search visits the units that may hold an entry of that name, the likeliest first, until visit says that it is done. Whether a unit
// may is seen from its raw bytes, without reading its entries: a name stands there in full, or as the offset of its string.
//
// wanted is asked of the entries that seem to begin at such a place. Units in which it wants one are visited at once; those
// where the name is met in another way after all others. So a structure that a thousand units only declare costs little. A unit
// that cannot be read is an error only if no other one answers.
// The caller holds d.mu.
func (d *DWARF) search(name string, wanted func(entry) bool, visit func(*unit) (bool, error)) error {
	if name == "" {
		return nil
	}
	var damaged error // the first, for want of an answer
	try := func(u *unit) bool {
		done, err := visit(u)
		if err != nil && damaged == nil {
			damaged = err
		}
		return done && err == nil
	}
	var later []*unit
	for _, f := range []*file{d.file, d.file.sup} {
		if f == nil {
			continue
		}
		marks := f.marks(name)
		for u := range f.units() {
			places, otherwise := marks.in(u)
			switch {
			case places == nil && !otherwise:
				continue
			case !otherwise && !anyWanted(u, places, name, wanted):
				later = append(later, u)
				continue
			}
			if try(u) {
				return nil
			}
		}
	}
	if slices.ContainsFunc(later, try) {
		return nil
	}
	return damaged
}

// units are the file's units in file order.
func (f *file) units() iter.Seq[*unit] {
	return func(yield func(*unit) bool) {
		for _, s := range f.sections {
			for _, u := range s.units {
				if !yield(u) {
					return
				}
			}
		}
	}
}

// anyWanted reads entries that begin just before the places, if they do begin there, and says whether one has the name and is
// wanted. Compilers write DW_AT_name first, after the abbreviation code of one to three bytes.
func anyWanted(u *unit, places []int, name string, wanted func(entry) bool) bool {
	for _, p := range places {
		for code := 1; code <= 3 && code < p; code++ {
			e, err := u.in.at(u.off + dwarf.Offset(p-code))
			if err == nil && e.name() == name && wanted(e) {
				return true
			}
		}
	}
	return false
}

// marks are the byte sequences by which a name may be met in the units of a file.
type marks struct {
	// needles are the name itself (DW_FORM_string) and the offsets of its string in 4 bytes (DW_FORM_strp, strp_sup, GNU_strp_alt; one
	// of 8 bytes contains it).
	needles [][]byte
	// many: the string has so many places that any unit may have it.
	many bool
	// tables are the bases of the tables in .debug_str_offsets that hold such an offset (DW_FORM_strx*).
	tables []uint64
}

// maxNeedles bounds the places of one string in the string sections. A linker merges equal strings; a name that is the tail of others
// has a few.
const maxNeedles = 64

func (f *file) marks(name string) marks {
	m := marks{needles: [][]byte{append([]byte(name), 0)}}
	own := slices.Collect(occurrences(f.raw[".debug_str"], m.needles[0]))
	offs := own
	if f.sup != nil {
		offs = slices.AppendSeq(slices.Clone(own), occurrences(f.sup.raw[".debug_str"], m.needles[0]))
	}
	if len(offs) > maxNeedles {
		return marks{many: true}
	}
	for _, off := range offs {
		m.needles = append(m.needles, f.word(dwarf.Offset(off)))
	}
	bases := f.stringTables()
	for _, off := range own {
		for at := range occurrences(f.raw[".debug_str_offsets"], f.word(dwarf.Offset(off))) {
			if i, found := slices.BinarySearch(bases, uint64(at)); found {
				m.tables = append(m.tables, bases[i])
			} else if i > 0 {
				m.tables = append(m.tables, bases[i-1])
			}
		}
	}
	return m
}

// word is how a unit writes an offset in 4 bytes.
func (f *file) word(n dwarf.Offset) []byte {
	b := make([]byte, 4)
	f.order.PutUint32(b, uint32(n))
	return b
}

// in gives the places of a unit's bytes where the name is met, nil for none, and whether the unit may have it otherwise.
func (m marks) in(u *unit) (places []int, otherwise bool) {
	for _, mark := range m.needles {
		places = slices.AppendSeq(places, occurrences(u.raw(), mark))
	}
	if len(m.tables) == 0 {
		return places, m.many
	}
	base, ok := u.stringTable()
	return places, m.many || ok && slices.Contains(m.tables, base)
}

// stringTable is where in .debug_str_offsets the strings begin that the unit names by index.
func (u *unit) stringTable() (base uint64, ok bool) {
	root, err := u.root()
	if err != nil {
		return 0, false
	}
	return root.number(dwarf.AttrStrOffsetsBase)
}

// stringTables are the tables of all units, sorted.
func (f *file) stringTables() []uint64 {
	if len(f.raw[".debug_str_offsets"]) == 0 {
		return nil
	}
	var bases []uint64
	for u := range f.units() {
		if base, ok := u.stringTable(); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	return bases
}

// occurrences yields every place of b where needle begins, overlaps included.
func occurrences(b, needle []byte) iter.Seq[int] {
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
