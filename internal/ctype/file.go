package ctype

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"

	"guestcore/internal/objfile"
)

// errNoSup means that an entry refers to the supplementary file and that was not found.
var errNoSup = errors.New("it lies in the supplementary debug file, which was not found")

// file is the debug information in one file.
type file struct {
	order binary.ByteOrder
	sup   *file // what dwz moved out of this file; nil: none

	sections []*section // .debug_info and DWARF 4's .debug_types, where the file has them
	types    map[uint64]entryAt
	raw      map[string][]byte // sections by name; read-only
}

// entryAt is the place of an entry.
type entryAt struct {
	in  *section
	off dwarf.Offset
}

// sectionNames are the sections that entries lie in, and that debug/dwarf wants to resolve their attributes.
var sectionNames = []string{".debug_info", ".debug_types", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets",
	".debug_addr", ".debug_rnglists"}

// openFile reads the sections of one file to memory. sup is nil if there is none.
func openFile(debug *objfile.DebugData, sup *file) (*file, error) {
	raw := map[string][]byte{}
	for _, name := range sectionNames {
		b, err := debug.Section(name)
		if err != nil {
			return nil, err
		}
		raw[name] = b
	}
	f, err := newFile(raw, debug.Order, sup)
	if err != nil {
		return nil, fmt.Errorf("debug information in %s: %w", debug.Path, err)
	}
	return f, nil
}

// newFile reads the unit headers and the abbreviations of all units.
func newFile(raw map[string][]byte, order binary.ByteOrder, sup *file) (_ *file, err error) {
	defer recovered(&err)
	f := &file{order: order, sup: sup, types: map[uint64]entryAt{}, raw: raw}
	for _, name := range []string{".debug_info", ".debug_types"} {
		if len(raw[name]) == 0 {
			continue
		}
		s, err := f.openSection(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f.sections = append(f.sections, s)
	}
	return f, nil
}

// openSection gives a section to debug/dwarf. .debug_types is given to it in the place of .debug_info, since a dwarf.Reader cannot
// reach what Data.AddTypes adds. Its unit headers are longer, so that only entries at known offsets may be read.
func (f *file) openSection(name string) (*section, error) {
	data, err := dwarf.New(f.raw[".debug_abbrev"], nil, nil, f.raw[name], nil, nil, nil, f.raw[".debug_str"])
	if err != nil {
		return nil, err
	}
	for _, more := range []string{".debug_addr", ".debug_line_str", ".debug_rnglists", ".debug_str_offsets"} {
		if err := data.AddSection(more, f.raw[more]); err != nil {
			return nil, err
		}
	}
	s := &section{file: f, data: data, bytes: f.raw[name], reader: data.Reader()}
	return s, s.readUnits(name == ".debug_types")
}

// signature reads the entry of the type that a type unit defines, by the unit's signature.
func (f *file) signature(sig uint64) (entry, error) {
	t, ok := f.types[sig]
	if !ok {
		return entry{}, fmt.Errorf("no type unit with signature %#016x", sig)
	}
	return t.in.at(t.off)
}

// recovered turns a panic of debug/dwarf on damaged debug information into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("damaged debug information: %v", r)
	}
}
