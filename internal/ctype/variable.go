package ctype

import (
	"bytes"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
)

// Variable is a variable with a fixed address.
type Variable struct {
	Name  string
	Addr  uint64 // link-time virtual address: add the load bias
	Unit  string // the compile unit's name, "../softmmu/memory.c"
	Field        // its type; Offset is 0
}

// Variable finds a variable with a fixed address: with function "" one at file scope (static or not), else a static one inside
// that function, inlined or not. An unknown name gives an error that wraps ErrNoVariable.
func (d *DWARF) Variable(function, name string) (v Variable, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer recovered(&err)
	var found bool
	var placeless []entry
	err = d.search(name, isVariable, func(u *unit) (bool, error) {
		named, err := namedIn(u, function, name)
		if err != nil || named == nil {
			return false, err
		}
		more, err := kin(u, named)
		if err != nil {
			return false, err
		}
		named = append(named, more...)
		if v, found, err = d.fixed(named, name); !found {
			placeless = append(placeless, referable(u, named)...)
		}
		return found, err
	})
	for range maxHops {
		if err != nil || found || placeless == nil {
			break
		}
		if placeless, err = d.kinElsewhere(placeless); err == nil {
			v, found, err = d.fixed(placeless, name)
		}
	}
	if err == nil && !found {
		err = ErrNoVariable
	}
	if err != nil {
		full := name
		if function != "" {
			full = function + "::" + name
		}
		return Variable{}, fmt.Errorf("variable %s: debug information in %s: %w", full, d.path, d.explain(err))
	}
	return v, nil
}

func isVariable(e entry) bool { return e.Tag == dwarf.TagVariable }

// namedIn finds the variables of that name in one unit, inside the function or outside of all.
func namedIn(u *unit, function, name string) ([]entry, error) {
	root, err := u.root()
	if err != nil {
		return nil, err
	}
	var named []entry
	var inside []string // the names of the enclosing functions, "" for other entries; by depth
	for c, err := range root.walk() {
		if err != nil {
			return nil, err
		}
		inside = inside[:min(len(inside), c.depth-1)]
		if c.Tag == dwarf.TagVariable && c.name() == name && innermost(inside) == function {
			named = append(named, c.entry)
		}
		if c.Children {
			inside = append(inside, functionName(c.entry))
		}
	}
	return named, nil
}

// kin finds the variables of a unit that stand for one of the named ones. The entry with the name may not have the place: it may be a
// declaration, or belong to the abstract form of a function that was inlined. Then an entry that refers to it as its specification or
// origin has it.
func kin(u *unit, named []entry) ([]entry, error) {
	root, err := u.root()
	if err != nil {
		return nil, err
	}
	var found []entry
	for c, err := range root.walk() {
		if err != nil {
			return nil, err
		}
		if c.Tag != dwarf.TagVariable {
			continue
		}
		if to, ok := stem(c.entry); ok && slices.ContainsFunc(named, to.is) {
			found = append(found, c.entry)
		}
	}
	return found, nil
}

// stem is the entry that an entry leaves its name and type to.
func stem(e entry) (entry, bool) {
	for _, attr := range []dwarf.Attr{dwarf.AttrSpecification, dwarf.AttrAbstractOrigin} {
		if to, ok, err := e.ref(attr); ok && err == nil {
			return to, true
		}
	}
	return entry{}, false
}

// referable are those of a unit's entries that entries of other units may refer to: definitions, as -flto makes them, and all that dwz moved
// to a unit of its own. A declaration in a source's unit is for that unit alone.
func referable(u *unit, entries []entry) []entry {
	root, err := u.root()
	if err != nil || root.Tag == dwarf.TagPartialUnit {
		return entries
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return e.flag(dwarf.AttrDeclaration) })
}

// maxHops bounds the units that lie between a name and its place: with -flto the names are in the units of the sources and the places in
// units of their own; with dwz the declarations are in units of their own.
const maxHops = 3

// kinElsewhere finds the variables of all units that stand for one of the named ones of another unit. A reference to another unit is an
// offset, so that most units are ruled out by their bytes.
func (d *DWARF) kinElsewhere(named []entry) ([]entry, error) {
	var refs [][]byte
	for _, e := range named {
		refs = append(refs, d.file.word(e.Offset))
	}
	var found []entry
	for u := range d.file.units() {
		if len(refs) <= maxNeedles && !slices.ContainsFunc(refs, func(ref []byte) bool { return bytes.Contains(u.raw(), ref) }) {
			continue
		}
		more, err := kin(u, named)
		if err != nil {
			return nil, err
		}
		for _, e := range more {
			if !slices.ContainsFunc(named, func(n entry) bool { return n.unit() == e.unit() }) {
				found = append(found, e)
			}
		}
	}
	return found, nil
}

// fixed makes a Variable of the first of the entries that has a fixed address.
func (d *DWARF) fixed(entries []entry, name string) (Variable, bool, error) {
	for _, e := range entries {
		addr, ok := e.address()
		if !ok {
			continue
		}
		v := Variable{Name: name, Addr: addr}
		t, unit, err := d.typeOf(e)
		v.Field, v.Unit = t.Field, unit
		return v, err == nil, err
	}
	return Variable{}, false, nil
}

// typeOf is the type of a variable, and the name of the unit that says it. A structure that no unit defines leaves it empty: the
// address is good all the same.
func (d *DWARF) typeOf(e entry) (ctyp, string, error) {
	unit := ""
	if root, err := e.unit().root(); err == nil {
		unit = root.name()
	}
	for range maxHops + 1 {
		to, ok, err := e.ref(dwarf.AttrType)
		if err != nil {
			return ctyp{}, unit, err
		}
		if ok {
			t, err := d.resolve(to)
			if errors.Is(err, ErrNoStruct) {
				err = nil
			}
			return t, unit, err
		}
		if e, ok = stem(e); !ok {
			break
		}
	}
	return ctyp{}, unit, nil
}

// functionName is the name of a function, also of an instance whose abstract form has the name; "" if it is none.
func functionName(e entry) string {
	for range maxChain {
		if e.Tag != dwarf.TagSubprogram && e.Tag != dwarf.TagInlinedSubroutine {
			return ""
		}
		if name := e.name(); name != "" {
			return name
		}
		to, ok, err := e.ref(dwarf.AttrAbstractOrigin)
		if !ok {
			to, ok, err = e.ref(dwarf.AttrSpecification)
		}
		if !ok || err != nil {
			return ""
		}
		e = to
	}
	return ""
}

// innermost is the last name that is one: blocks lie in functions.
func innermost(names []string) string {
	for i := len(names) - 1; i >= 0; i-- {
		if names[i] != "" {
			return names[i]
		}
	}
	return ""
}
