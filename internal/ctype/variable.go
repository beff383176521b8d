package ctype

import (
	"bytes"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"

	"guestcore/internal/die"
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
func (d *DWARF) Variable(function, name string) (Variable, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var v Variable
	var found bool
	var placeless []die.Entry
	err := d.search(name, isVariable, func(u *die.Unit) (bool, error) {
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

func isVariable(e die.Entry) bool { return e.Tag == dwarf.TagVariable }

// namedIn finds the variables of that name in one unit, inside the function or outside of all.
func namedIn(u *die.Unit, function, name string) ([]die.Entry, error) {
	root, err := u.Root()
	if err != nil {
		return nil, err
	}
	var named []die.Entry
	var inside []string // the names of the enclosing functions, "" for other entries; by depth
	for c, err := range root.Walk() {
		if err != nil {
			return nil, err
		}
		inside = inside[:min(len(inside), c.Depth-1)]
		if c.Tag == dwarf.TagVariable && c.Named(name) && innermost(inside) == function {
			named = append(named, c.Entry)
		}
		if c.HasChildren() {
			inside = append(inside, functionName(c.Entry))
		}
	}
	return named, nil
}

// kin finds the variables of a unit that stand for one of the named ones. The entry with the name may not have the place: it may be a
// declaration, or belong to the abstract form of a function that was inlined. Then an entry that refers to it as its specification or
// origin has it.
func kin(u *die.Unit, named []die.Entry) ([]die.Entry, error) {
	root, err := u.Root()
	if err != nil {
		return nil, err
	}
	var found []die.Entry
	for c, err := range root.Walk() {
		if err != nil {
			return nil, err
		}
		if c.Tag != dwarf.TagVariable {
			continue
		}
		if to, ok := stem(c.Entry); ok && slices.ContainsFunc(named, func(n die.Entry) bool { return n.Unit() == to.Unit() && n.Off() == to.Off() }) {
			found = append(found, c.Entry)
		}
	}
	return found, nil
}

// stem is the entry that an entry leaves its name and type to.
func stem(e die.Entry) (die.Entry, bool) {
	for _, attr := range []dwarf.Attr{dwarf.AttrSpecification, dwarf.AttrAbstractOrigin} {
		if to, ok, err := e.Ref(attr); ok && err == nil {
			return to, true
		}
	}
	return die.Entry{}, false
}

// referable are those of a unit's entries that entries of other units may refer to: definitions, as -flto makes them, and all that dwz moved
// to a unit of its own. A declaration in a source's unit is for that unit alone.
func referable(u *die.Unit, entries []die.Entry) []die.Entry {
	root, err := u.Root()
	if err != nil || root.Tag == dwarf.TagPartialUnit {
		return entries
	}
	return slices.DeleteFunc(entries, func(e die.Entry) bool { return e.Flag(dwarf.AttrDeclaration) })
}

// maxHops bounds the units that lie between a name and its place: with -flto the names are in the units of the sources and the places in
// units of their own; with dwz the declarations are in units of their own.
const maxHops = 3

// kinElsewhere finds the variables of all units that stand for one of the named ones of another unit. A reference to another unit is an
// offset, so that most units are ruled out by their bytes.
func (d *DWARF) kinElsewhere(named []die.Entry) ([]die.Entry, error) {
	var refs [][]byte
	for _, e := range named {
		refs = append(refs, uint32Bytes(d.data, e.Off()))
	}
	var found []die.Entry
	for _, u := range d.data.Units() {
		b, err := u.Peek(nil)
		if err != nil {
			return nil, err
		}
		if len(refs) <= maxNeedles && !slices.ContainsFunc(refs, func(ref []byte) bool { return bytes.Contains(b, ref) }) {
			continue
		}
		more, err := kin(u, named)
		if err != nil {
			return nil, err
		}
		for _, e := range more {
			if !slices.ContainsFunc(named, func(n die.Entry) bool { return n.Unit() == e.Unit() }) {
				found = append(found, e)
			}
		}
	}
	return found, nil
}

// fixed makes a Variable of the first of the entries that has a fixed address.
func (d *DWARF) fixed(entries []die.Entry, name string) (Variable, bool, error) {
	for _, e := range entries {
		loc, ok := e.Attr(dwarf.AttrLocation)
		if !ok {
			continue
		}
		addr, ok := loc.FixedAddr()
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
func (d *DWARF) typeOf(e die.Entry) (ctyp, string, error) {
	unit := ""
	if root, err := e.Unit().Root(); err == nil {
		unit = root.Name()
	}
	for range maxHops + 1 {
		to, ok, err := e.Ref(dwarf.AttrType)
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
func functionName(e die.Entry) string {
	for range maxChain {
		if e.Tag != dwarf.TagSubprogram && e.Tag != dwarf.TagInlinedSubroutine {
			return ""
		}
		if name := e.Name(); name != "" {
			return name
		}
		to, ok, err := e.Ref(dwarf.AttrAbstractOrigin)
		if !ok {
			to, ok, err = e.Ref(dwarf.AttrSpecification)
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
