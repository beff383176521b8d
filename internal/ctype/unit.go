package ctype

import (
	"debug/dwarf"
	"fmt"
	"sort"
)

// section is a section with entries.
type section struct {
	*file
	data   *dwarf.Data
	bytes  []byte
	units  []*unit
	reader *dwarf.Reader
}

// unit is what one source file became, or what dwz moved out of several. debug/dwarf knows its bounds but does not tell.
type unit struct {
	in    *section
	off   dwarf.Offset // of the header
	first dwarf.Offset // of the first entry
	end   dwarf.Offset
}

// Unit types of DWARF 5, §7.5.1.
const (
	utType         = 2
	utSkeleton     = 4
	utSplitCompile = 5
	utSplitType    = 6
)

// readUnits reads the headers of the units. debug/dwarf read them before and refused lengths that do not fit and unknown versions.
//
//	2..4: length, version u16, abbrev offset, address size u8                 [.debug_types: signature u64, type offset]
//	5:    length, version u16, unit type u8, address size u8, abbrev offset   [type: signature u64, type offset; skeleton: id u64]
func (s *section) readUnits(debugTypes bool) error {
	for off := 0; off < len(s.bytes); {
		b := s.bytes[off:]
		at, word := 4, 4 // where the version is; bytes of an offset
		length := s.number(b, 4)
		if length == 0xffffffff { // the 64-bit format
			at, word = 12, 8
			length = s.number(b[4:], 8)
		}
		if length == 0 { // padding
			off += at
			continue
		}
		if length < 3 || at > len(b) || length > uint64(len(b)-at) {
			return fmt.Errorf("unit at %#x: %d bytes", off, length)
		}
		end := at + int(length)
		first := at + 3 + word
		isType := debugTypes
		if s.number(b[at:], 2) == 5 {
			first++
			kind := b[at+2]
			isType = kind == utType || kind == utSplitType
			if kind == utSkeleton || kind == utSplitCompile {
				first += 8
			}
		}
		if isType {
			first += 8 + word
		}
		if first > end {
			return fmt.Errorf("unit at %#x: its header does not fit", off)
		}
		if isType {
			inUnit := s.number(b[first-word:], word)
			s.types[s.number(b[first-word-8:], 8)] = entryAt{s, dwarf.Offset(off) + dwarf.Offset(inUnit)}
		}
		s.units = append(s.units, &unit{s, dwarf.Offset(off), dwarf.Offset(off + first), dwarf.Offset(off + end)})
		off += end
	}
	return nil
}

// number reads an unsigned number of 2, 4 or 8 bytes, 0 if they are not there.
func (f *file) number(b []byte, n int) uint64 {
	switch {
	case len(b) < n:
		return 0
	case n == 2:
		return uint64(f.order.Uint16(b))
	case n == 4:
		return uint64(f.order.Uint32(b))
	}
	return f.order.Uint64(b)
}

// unit finds the unit in which an entry may begin, nil if there is none.
func (s *section) unit(off dwarf.Offset) *unit {
	i := sort.Search(len(s.units), func(i int) bool { return s.units[i].end > off })
	if i == len(s.units) || off < s.units[i].first {
		return nil
	}
	return s.units[i]
}

// at reads the entry at an offset. That an entry begins there is the caller's word.
func (s *section) at(off dwarf.Offset) (entry, error) {
	if s.unit(off) == nil {
		return entry{}, fmt.Errorf("no entry at %#x", off)
	}
	s.reader.Seek(off)
	e, err := s.reader.Next()
	if err == nil && (e == nil || e.Tag == 0) {
		err = fmt.Errorf("no entry at %#x but the end of a list", off)
	}
	return entry{e, s}, err
}

// root is the unit's first entry, DW_TAG_compile_unit or its like.
func (u *unit) root() (entry, error) { return u.in.at(u.first) }

// raw is the unit's bytes, header included.
func (u *unit) raw() []byte { return u.in.bytes[u.off:u.end] }
