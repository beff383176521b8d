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

// Load reads the unit's bytes and abbreviations, and keeps them until Drop.
func (u *Unit) Load() error {
	if u.in != nil {
		return nil
	}
	b, err := u.Peek(nil)
	if err != nil {
		return err
	}
	table, err := u.readAbbrevs()
	if err != nil {
		return fmt.Errorf("%s: unit at %#x: %w", u.section, u.off, err)
	}
	u.in = &loaded{u, b, table}
	return nil
}

// Loaded says whether the unit is in memory.
func (u *Unit) Loaded() bool { return u.in != nil }

// Drop gives the unit's memory back. Entries of it stay good.
func (u *Unit) Drop() { u.in = nil }

// Peek gives the unit's bytes, header included, read into room where that is large enough.
func (u *Unit) Peek(room []byte) ([]byte, error) {
	if u.in != nil {
		return u.in.bytes, nil
	}
	s, err := u.Data.source(u.section)
	if err != nil {
		return nil, err
	}
	b, err := s.Slice(u.off, u.end-u.off, room)
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
