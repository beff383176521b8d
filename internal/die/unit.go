package die

import (
	"debug/dwarf"
	"fmt"
)

// Unit is one unit of .debug_info or .debug_types: what one source file became, or what dwz moved out of several. Offsets are
// offsets in its section.
type Unit struct {
	Data    *Data
	Version int

	section  string
	off      uint64 // of the header
	first    uint64 // of the first entry
	end      uint64
	abbrev   uint64 // offset in .debug_abbrev
	addrSize int    // bytes
	is64     bool   // the 64-bit format: offsets of 8 bytes
	typeOff  uint64 // of a type unit: offset of its type from off

	in    *loaded // nil: not loaded
	bases *bases
}

// Unit types of DWARF 5, §7.5.1.
const (
	utType         = 2
	utSkeleton     = 4
	utSplitCompile = 5
	utSplitType    = 6
)

// maxHeader is the longest unit header in bytes: 12 + 2 + 1 + 1 + 8 + 8 + 8.
const maxHeader = 40

// readUnits reads the headers of all units of a section.
func (d *Data) readUnits(section string) error {
	s, err := d.source(section)
	if err != nil || s == nil {
		return err
	}
	room := make([]byte, maxHeader)
	for off := uint64(0); off < s.Size(); {
		b, err := s.Slice(off, min(maxHeader, s.Size()-off), room)
		if err != nil {
			return fmt.Errorf("%s: unit at %#x: %w", section, off, err)
		}
		u, err := d.readHeader(section, off, b)
		if err != nil {
			return fmt.Errorf("%s: unit at %#x: %w", section, off, err)
		}
		if u.end > s.Size() || u.end <= off {
			return fmt.Errorf("%s: unit at %#x: ends at %#x of %#x; is the file truncated?", section, off, u.end, s.Size())
		}
		off = u.end
		if u.Version != 0 {
			d.units = append(d.units, u)
		}
	}
	return nil
}

// readHeader reads a unit header (DWARF 5 §7.5.1). A unit of a version that is not known has Version 0 and is passed over.
//
//	2..4: length, version u16, abbrev offset, address size u8                     [.debug_types: signature u64, type offset]
//	5:    length, version u16, unit type u8, address size u8, abbrev offset       [type: signature u64, type offset; skeleton: id u64]
func (d *Data) readHeader(section string, off uint64, b []byte) (*Unit, error) {
	r := buf{b: b, order: d.Order}
	u := &Unit{Data: d, section: section, off: off}
	length := r.uint(4)
	switch {
	case length == 0xffffffff:
		u.is64 = true
		length = r.uint(8)
	case length >= 0xfffffff0:
		return nil, fmt.Errorf("reserved length %#x", length)
	}
	u.end = off + uint64(r.pos) + length
	if u.end < off {
		return nil, fmt.Errorf("length %#x", length)
	}
	version := int(r.uint(2))
	isType := section == ".debug_types"
	switch {
	case version >= 2 && version <= 4:
		u.abbrev = r.uint(u.offsetSize())
		u.addrSize = int(r.uint(1))
	case version == 5:
		typ := r.uint(1)
		u.addrSize = int(r.uint(1))
		u.abbrev = r.uint(u.offsetSize())
		if typ == utSkeleton || typ == utSplitCompile {
			r.uint(8)
		}
		isType = typ == utType || typ == utSplitType
	default:
		return u, nil
	}
	if isType {
		sig := r.uint(8)
		u.typeOff = r.uint(u.offsetSize())
		d.sigs[sig] = u
	}
	if r.bad {
		return nil, errTruncated
	}
	u.Version, u.first = version, off+uint64(r.pos)
	if u.first > u.end {
		return nil, errTruncated
	}
	return u, nil
}

func (u *Unit) offsetSize() int {
	if u.is64 {
		return 8
	}
	return 4
}

// maxLoaded bounds the bytes of the units of one file that are kept in memory. The largest units have a few hundred KB.
const maxLoaded = 8 << 20

// load reads the unit's bytes and abbreviations. It stays in memory until other units need the room; entries of it stay good even then.
func (u *Unit) load() (*loaded, error) {
	if u.in != nil {
		return u.in, nil
	}
	b, err := u.Peek(nil)
	if err != nil {
		return nil, err
	}
	table, err := u.readAbbrevs()
	if err != nil {
		return nil, fmt.Errorf("%s: unit at %#x: %w", u.section, u.off, err)
	}
	u.in = &loaded{u, b, table}
	d := u.Data
	d.loaded = append(d.loaded, u)
	for d.loadedSize += u.Size(); d.loadedSize > maxLoaded && len(d.loaded) > 1; {
		d.loadedSize -= d.loaded[0].Size()
		d.loaded[0].in = nil
		d.loaded = d.loaded[1:]
	}
	return u.in, nil
}

// Size is the number of the unit's bytes, its header included.
func (u *Unit) Size() uint64 { return u.end - u.off }

// Peek gives the unit's bytes, header included, read into room where that is large enough.
func (u *Unit) Peek(room []byte) ([]byte, error) {
	if u.in != nil {
		return u.in.bytes, nil
	}
	s, err := u.Data.source(u.section)
	if err != nil {
		return nil, err
	}
	b, err := s.Slice(u.off, u.Size(), room)
	if err != nil {
		return nil, fmt.Errorf("%s: unit at %#x: %w", u.section, u.off, err)
	}
	return b, nil
}

// Off is where the unit's header lies in its section.
func (u *Unit) Off() uint64 { return u.off }

// Root is the unit's first entry, DW_TAG_compile_unit or its like.
func (u *Unit) Root() (Entry, error) { return u.At(u.first) }

// bases are what a unit of DWARF 5 counts its indexed strings and addresses from.
type bases struct{ str, addr uint64 }

func (u *Unit) readBases() (bases, error) {
	if u.bases != nil {
		return *u.bases, nil
	}
	root, err := u.Root()
	if err != nil {
		return bases{}, err
	}
	var b bases
	if v, ok := root.Attr(dwarf.AttrStrOffsetsBase); ok {
		b.str, _ = v.Uint()
	}
	if v, ok := root.Attr(dwarf.AttrAddrBase); ok {
		b.addr, _ = v.Uint()
	}
	u.bases = &b
	return b, nil
}

// StringIndex gives the bytes of .debug_str_offsets that the unit's indexed strings (DW_FORM_strx) lie in; ok is false if it has none.
// The table's header, 8 bytes before its base (16 in the 64-bit format), tells the length from after itself (DWARF 5 §7.26).
func (u *Unit) StringIndex() (begin, end uint64, ok bool) {
	b, err := u.readBases()
	if err != nil || b.str == 0 {
		return 0, 0, false
	}
	table, err := u.Data.Bytes(".debug_str_offsets")
	n := uint64(u.offsetSize())
	if err != nil || b.str > uint64(len(table)) || b.str < 4+n {
		return 0, 0, false
	}
	r := buf{b: table, pos: int(b.str - 4 - n), order: u.Data.Order}
	length := r.uint(int(n))
	if r.bad || length < 4 {
		return 0, 0, false
	}
	return b.str, min(b.str+length-4, uint64(len(table))), true
}

// AddrSize is the size of an address in bytes.
func (u *Unit) AddrSize() int { return u.addrSize }
