package ctype

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// abbrevs are 1, a compile unit with children; 2, a structure with a name and a size; 3, one with children and a sibling (ref1).
var abbrevs = []byte{1, 0x11, 1, 0, 0, 2, 0x13, 0, 3, 8, 0x0b, 0x0b, 0, 0, 3, 0x13, 1, 1, 0x11, 0, 0, 0}

// units4 makes units of DWARF 4 of their entries.
func units4(units ...[]byte) (info []byte) {
	for _, u := range units {
		info = append(info, byte(7+len(u)), 0, 0, 0, 4, 0, 0, 0, 0, 0, 8)
		info = append(info, u...)
	}
	return info
}

func infoOnly(info []byte) map[string][]byte {
	return map[string][]byte{".debug_abbrev": abbrevs, ".debug_info": info}
}

// A unit that cannot be read does not hide what another one says; without that the error is not that there is no structure.
func TestDamagedUnit(t *testing.T) {
	bad, good := []byte{1, 9, 2, 'x', 0, 5, 0}, []byte{1, 2, 'x', 0, 5, 0}
	for _, c := range []struct {
		name string
		info []byte
		size uint64 // 0: an error
	}{
		{"alone", units4(bad), 0},
		{"before another", units4(bad, good), 5},
		{"after another", units4(good, bad), 5},
		{"another after padding", slices.Concat(make([]byte, 4), units4(good), make([]byte, 4)), 5},
	} {
		f, err := newFile(infoOnly(c.info), binary.LittleEndian, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		s, err := (&DWARF{file: f, structs: map[string]*record{}}).Struct("x")
		switch {
		case c.size == 0 && (err == nil || errors.Is(err, ErrNoStruct)):
			t.Errorf("%s: %+v, %v; want an error that is not ErrNoStruct", c.name, s, err)
		case c.size != 0 && (err != nil || s.Size != c.size):
			t.Errorf("%s: %+v, %v; want %d bytes", c.name, s, err, c.size)
		}
	}
}

// Headers that say more than there is are errors.
func TestDamagedHeaders(t *testing.T) {
	whole := units4([]byte{1, 0})
	long := slices.Clone(whole)
	long[0]++
	version := slices.Clone(whole)
	version[4] = 6
	for name, sections := range map[string]map[string][]byte{
		"cut":                           infoOnly(whole[:len(whole)-1]),
		"too long":                      infoOnly(long),
		"unknown version":               infoOnly(version),
		"type unit without a signature": {".debug_abbrev": abbrevs, ".debug_types": whole},
		"form of split DWARF 4":         {".debug_abbrev": {1, 0x11, 0, 3, 0x82, 0x3e, 0, 0, 0}, ".debug_info": whole}, // GNU_str_index
	} {
		if f, err := newFile(sections, binary.LittleEndian, nil); err == nil {
			t.Errorf("%s: %d sections and no error", name, len(f.sections))
		}
	}
}

// Whatever the bytes are, a walk ends, goes forward only, and stays inside its unit. A reference leads to an entry or is an error.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{1, 0x11, 1, 0, 0, 2, 0x34, 0, 3, 8, 0, 0, 0}, []byte{13, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1, 2, 'x', 0, 0, 0}, []byte("x\x00"))
	f.Add([]byte{1, 0x11, 1, 1, 0x13, 0, 0, 0}, []byte{20, 0, 0, 0, 5, 0, 1, 8, 0, 0, 0, 0, 1, 12, 0, 0, 0, 1, 99, 0, 0, 0, 0, 0}, []byte{})
	f.Add([]byte{1, 0x41, 1, 0, 0, 2, 0x13, 0, 0x69, 0x20, 0, 0, 0}, // a type unit, a structure that refers to its signature
		[]byte{31, 0, 0, 0, 5, 0, 2, 8, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 25, 0, 0, 0, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0}, []byte{})
	f.Add(abbrevs, units4([]byte{1, 2, 'a', 0, 1}, []byte{1, 2, 'b', 0, 1, 0}), []byte{})                        // the first list has no end
	f.Add(abbrevs, units4([]byte{1, 3, 12, 2, 'a', 0, 1, 0, 0}, []byte{1, 3, 99, 2, 'b', 0, 1, 0, 0}), []byte{}) // siblings that lie
	f.Fuzz(func(t *testing.T, abbrev, info, str []byte) {
		d, err := newFile(map[string][]byte{".debug_abbrev": abbrev, ".debug_info": info,
			".debug_str": str, ".debug_str_offsets": str, ".debug_addr": str}, binary.LittleEndian, nil)
		if err != nil {
			return
		}
		for u := range d.units() {
			root, err := u.root()
			if err != nil {
				continue
			}
			last := root.Offset
			for c, err := range root.walk() {
				if err != nil {
					break
				}
				if c.Offset <= last || c.Offset >= u.end || c.depth < 1 || c.unit() != u {
					t.Fatalf("entry at %#x, depth %d, after %#x in the unit %#x to %#x", c.Offset, c.depth, last, u.off, u.end)
				}
				last = c.Offset
				if s := c.name(); len(s) > max(len(str), len(info)) {
					t.Fatalf("entry at %#x: name %q", c.Offset, s)
				}
				for _, a := range []dwarf.Attr{dwarf.AttrType, dwarf.AttrSignature, dwarf.AttrAbstractOrigin} {
					if to, ok, err := c.ref(a); ok && err == nil && (to.Entry == nil || to.unit() == nil) {
						t.Fatalf("entry at %#x: %v leads to %+v", c.Offset, a, to)
					}
				}
				c.address()
			}
			last = root.Offset
			for c, err := range root.children() {
				if err != nil {
					break
				}
				if c.Offset <= last || c.unit() != u {
					t.Fatalf("child at %#x after %#x", c.Offset, last)
				}
				last = c.Offset
			}
		}
	})
}
