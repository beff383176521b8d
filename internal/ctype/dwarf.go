package ctype

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"strings"
	"sync"

	"guestcore/internal/die"
	"guestcore/internal/objfile"
)

// DWARF is a Layouts read from debug information, and finds variables there. Nothing is indexed: a name is searched for when it
// is asked for, first in the units that answered before. DWARF 2 to 5 as gcc, clang, dwz and linkers leave it; split DWARF (.dwo
// files) is not read. The methods may be called from several goroutines.
type DWARF struct {
	path   string    // of the file with the DWARF
	data   *die.Data // of that file; its supplement is data.Sup
	supErr error     // why the supplement is missing

	mu      sync.Mutex // guards data and all below
	known   []*die.Unit
	structs map[string]*record // by name as asked
}

// FromDWARF reads the debug information that belongs to an object file: in the file itself, in its separate debug file, or
// shared in a supplementary file that dwz made. With none of them the error wraps objfile.ErrNoDebugInfo.
func FromDWARF(f *objfile.File) (*DWARF, error) {
	debug, err := f.DebugData()
	if err != nil {
		return nil, err
	}
	var sup *die.Data
	if debug.Sup != nil {
		if sup, err = openData(debug.Sup, nil); err != nil {
			return nil, err
		}
	}
	data, err := openData(debug, sup)
	if err != nil {
		return nil, err
	}
	return &DWARF{path: debug.Path, data: data, supErr: debug.SupErr, structs: map[string]*record{}}, nil
}

func openData(debug *objfile.DebugData, sup *die.Data) (*die.Data, error) {
	source := func(name string) (die.Section, error) {
		s, err := debug.Section(name)
		if s == nil || err != nil {
			return nil, err // not a nil *Section in the interface
		}
		return s, nil
	}
	data, err := die.New(source, debug.Order, sup)
	if err != nil {
		return nil, fmt.Errorf("debug information in %s: %w", debug.Path, err)
	}
	return data, nil
}

// Struct finds the complete definition of a structure, a union or a typedef of one, in whichever unit has it.
func (d *DWARF) Struct(name string) (*Struct, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	var found die.Entry
	err := d.search(name, isRecord, func(u *die.Unit) (bool, error) {
		var err error
		found, err = topLevel(u, name, isRecord)
		return found.Tag != 0, err
	})
	if err != nil {
		return nil, err
	}
	if found.Tag == 0 {
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
func isRecord(e die.Entry) bool {
	for range maxChain {
		switch e.Tag {
		case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagClassType:
			return !e.Flag(dwarf.AttrDeclaration)
		case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType:
			to, ok, err := e.Ref(dwarf.AttrType)
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

// topLevel finds the first entry of a unit, not inside a function, that has the name and is wanted. None is the zero Entry.
func topLevel(u *die.Unit, name string, wanted func(die.Entry) bool) (die.Entry, error) {
	root, err := u.Root()
	if err != nil {
		return die.Entry{}, err
	}
	for c, err := range root.Children() {
		if err != nil {
			return die.Entry{}, err
		}
		if c.Named(name) && wanted(c.Entry) {
			return c.Entry, nil
		}
	}
	return die.Entry{}, nil
}

// explain adds to an error that a missing supplementary file may be the cause of, why it is missing.
func (d *DWARF) explain(err error) error {
	if d.supErr == nil {
		return err
	}
	for _, is := range []error{die.ErrNoSup, ErrNoStruct, ErrNoVariable} {
		if errors.Is(err, is) {
			return fmt.Errorf("%w (%w)", err, d.supErr)
		}
	}
	return err
}
