package ctype

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"strings"
	"sync"

	"guestcore/internal/objfile"
)

// DWARF is a Layouts read from debug information, and finds variables there. Nothing is indexed: a name is searched for when it
// is asked for. The methods may be called from several goroutines.
//
// debug/dwarf decodes the entries, of DWARF 2 to 5 as gcc and clang write them. What it does not know makes the whole file an error: the
// index forms of split DWARF before version 5 (DW_FORM_GNU_addr_index, GNU_str_index). What split DWARF moved to .dwo files is not found.
type DWARF struct {
	path   string // of the file with the DWARF
	supErr error  // why its supplementary file is missing

	mu      sync.Mutex // guards all below
	file    *file
	structs map[string]*record // by name as asked
}

// FromDWARF reads the debug information that belongs to an object file: in the file itself, in its separate debug file, or
// shared in a supplementary file that dwz made. With none of them the error wraps objfile.ErrNoDebugInfo.
func FromDWARF(f *objfile.File) (*DWARF, error) {
	debug, err := f.DebugData()
	if err != nil {
		return nil, err
	}
	var sup *file
	if debug.Sup != nil {
		if sup, err = openFile(debug.Sup, nil); err != nil {
			return nil, err
		}
	}
	whole, err := openFile(debug, sup)
	if err != nil {
		return nil, err
	}
	return &DWARF{path: debug.Path, file: whole, supErr: debug.SupErr, structs: map[string]*record{}}, nil
}

// Struct finds the complete definition of a structure, a union or a typedef of one, in whichever unit has it.
func (d *DWARF) Struct(name string) (_ *Struct, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer recovered(&err)
	name = bareTag(name)
	r, err := d.record(name)
	if err != nil {
		return nil, fmt.Errorf("struct %s: debug information in %s: %w", name, d.path, d.explain(err))
	}
	return &Struct{Name: name, Size: r.size, From: "debug information in " + d.path, members: r}, nil
}

// bareTag takes the keyword away: "struct list_head" is found as "list_head".
func bareTag(name string) string {
	for _, keyword := range []string{"struct ", "union "} {
		if tag, ok := strings.CutPrefix(name, keyword); ok {
			return tag
		}
	}
	return name
}

// record finds a structure by name. The caller holds d.mu.
func (d *DWARF) record(name string) (*record, error) {
	if r, ok := d.structs[name]; ok {
		return r, nil
	}
	var found entry
	err := d.search(name, isRecord, func(u *unit) (bool, error) {
		var err error
		found, err = topLevel(u, name, isRecord)
		return found.Entry != nil, err
	})
	if err != nil {
		return nil, err
	}
	if found.Entry == nil {
		return nil, ErrNoStruct
	}
	r, err := d.newRecord(found)
	if err != nil {
		return nil, err
	}
	d.structs[name] = r
	return r, nil
}

// isRecord says whether an entry defines a structure, or is a typedef of one that does.
func isRecord(e entry) bool {
	for range maxChain {
		switch e.Tag {
		case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagClassType:
			return !e.flag(dwarf.AttrDeclaration)
		case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType:
			to, ok, err := e.ref(dwarf.AttrType)
			if !ok || err != nil {
				return false
			}
			e = to
		default:
			return false
		}
	}
	return false
}

// topLevel finds the first entry of a unit, not inside a function, that has the name and is wanted. None is the zero entry.
func topLevel(u *unit, name string, wanted func(entry) bool) (entry, error) {
	root, err := u.root()
	if err != nil {
		return entry{}, err
	}
	for c, err := range root.children() {
		if err != nil {
			return entry{}, err
		}
		if c.name() == name && wanted(c) {
			return c, nil
		}
	}
	return entry{}, nil
}

// explain adds to an error that a missing supplementary file may be the cause of, why it is missing.
func (d *DWARF) explain(err error) error {
	if d.supErr == nil {
		return err
	}
	for _, is := range []error{errNoSup, ErrNoStruct, ErrNoVariable} {
		if errors.Is(err, is) {
			return fmt.Errorf("%w (%w)", err, d.supErr)
		}
	}
	return err
}
