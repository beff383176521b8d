package ctype

import (
	"slices"

	"guestcore/internal/die"
)

// search visits the units that may hold an entry of that name, the likeliest first, until visit says that it is done. Whether a unit
// may is seen from its raw bytes, without reading its entries: a name stands there in full, or as the offset of its string.
//
// wanted is asked of the entries that seem to begin at such a place. Units in which it wants one are visited at once; those
// where the name is met in another way after all others. So a structure that a thousand units only declare costs little. A unit
// that cannot be read is an error only if no other one answers.
// The caller holds d.mu.
func (d *DWARF) search(name string, wanted func(die.Entry) bool, visit func(*die.Unit) (bool, error)) error {
	if name == "" {
		return nil
	}
	var damaged error // the first, for want of an answer
	try := func(u *die.Unit) bool {
		done, err := visit(u)
		if err != nil && damaged == nil {
			damaged = err
		}
		return done && err == nil
	}
	for _, u := range d.known {
		if try(u) {
			return nil
		}
	}
	files := []*die.Data{d.data}
	if d.data.Sup != nil {
		files = append(files, d.data.Sup)
	}
	var later []*die.Unit
	var room []byte
	for _, data := range files {
		marks, err := newMarks(data, name)
		if err != nil {
			return err
		}
		for _, u := range data.Units() {
			if slices.Contains(d.known, u) {
				continue
			}
			if u.Size() > uint64(len(room)) {
				room = make([]byte, 2*u.Size())
			}
			b, err := u.Peek(room)
			if err != nil {
				return err
			}
			places, otherwise := marks.in(u, b)
			switch {
			case places == nil && !otherwise:
				continue
			case !otherwise && !anyWanted(u, places, name, wanted):
				later = append(later, u)
				continue
			}
			if try(u) {
				d.remember(u)
				return nil
			}
		}
	}
	for _, u := range later {
		if try(u) {
			d.remember(u)
			return nil
		}
	}
	return damaged
}

// maxKnown bounds the units that are asked first.
const maxKnown = 8

// remember puts a unit that answered before the others.
func (d *DWARF) remember(u *die.Unit) {
	d.known = append([]*die.Unit{u}, d.known[:min(len(d.known), maxKnown-1)]...)
}

// anyWanted reads entries that begin just before the places, if they do begin there, and says whether one has the name and is
// wanted. Compilers write DW_AT_name first, after the abbreviation code of one to three bytes.
func anyWanted(u *die.Unit, places []int, name string, wanted func(die.Entry) bool) bool {
	for _, p := range places {
		for code := 1; code <= 3 && code < p; code++ {
			e, err := u.At(u.Off() + uint64(p-code))
			if err == nil && e.Named(name) && wanted(e) {
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
	// slots are the places in .debug_str_offsets that hold such an offset (DW_FORM_strx*).
	slots []uint64
}

// maxNeedles bounds the places of one string in the string sections. A linker merges equal strings; a name that is the tail of others
// has a few.
const maxNeedles = 64

func newMarks(data *die.Data, name string) (marks, error) {
	m := marks{needles: [][]byte{append([]byte(name), 0)}}
	own, err := data.StringOffsets(".debug_str", name)
	if err != nil {
		return marks{}, err
	}
	offs := own
	if data.Sup != nil {
		sup, err := data.Sup.StringOffsets(".debug_str", name)
		if err != nil {
			return marks{}, err
		}
		offs = append(slices.Clone(own), sup...)
	}
	if len(offs) > maxNeedles {
		m.many = true
		return m, nil
	}
	for _, off := range offs {
		m.needles = append(m.needles, uint32Bytes(data, off))
	}
	index, err := data.Bytes(".debug_str_offsets")
	if err != nil {
		return marks{}, err
	}
	for _, off := range own {
		for at := range die.Occurrences(index, uint32Bytes(data, off)) {
			m.slots = append(m.slots, uint64(at))
		}
	}
	slices.Sort(m.slots)
	return m, nil
}

func uint32Bytes(data *die.Data, n uint64) []byte {
	b := make([]byte, 4)
	data.Order.PutUint32(b, uint32(n))
	return b
}

// in gives the places of a unit's bytes where the name is met, nil for none, and whether the unit may have it otherwise.
func (m marks) in(u *die.Unit, b []byte) (places []int, otherwise bool) {
	if m.many {
		return nil, true
	}
	for _, mark := range m.needles {
		for at := range die.Occurrences(b, mark) {
			places = append(places, at)
		}
	}
	if len(m.slots) == 0 {
		return places, false
	}
	begin, end, ok := u.StringIndex()
	i, _ := slices.BinarySearch(m.slots, begin)
	return places, ok && i < len(m.slots) && m.slots[i] < end
}
