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
		if err != nil {
			return false, err
		}
		v, found, err = d.variableIn(u, named, name)
		if !found {
			placeless = append(placeless, definitions(named)...)
		}
		return found, err
	})
	if err == nil && !found && placeless != nil {
		v, found, err = d.variableElsewhere(placeless, name)
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

// variableIn gives the place of one of the named entries. The entry with the name may not have it: it may be a declaration, or belong
// to the abstract form of a function that was inlined. Then another entry that names it as its specification or origin does.
func (d *DWARF) variableIn(u *die.Unit, named []die.Entry, name string) (Variable, bool, error) {
	if len(named) == 0 {
		return Variable{}, false, nil
	}
	root, err := u.Root()
	if err != nil {
		return Variable{}, false, err
	}
	for _, e := range named {
		if e.Unit() != u {
			continue
		}
		if v, ok, err := d.fixed(e, e, name); ok || err != nil {
			return v, ok, err
		}
	}
	for c, err := range root.Walk() {
		if err != nil {
			return Variable{}, false, err
		}
		if c.Tag != dwarf.TagVariable {
			continue
		}
		if to, ok := standsFor(c.Entry, named); ok {
			if v, ok, err := d.fixed(c.Entry, to, name); ok || err != nil {
				return v, ok, err
			}
		}
	}
	return Variable{}, false, nil
}

// definitions are those of the entries that are not mere declarations.
func definitions(entries []die.Entry) []die.Entry {
	return slices.DeleteFunc(entries, func(e die.Entry) bool { return e.Flag(dwarf.AttrDeclaration) })
}

// variableElsewhere looks in all units for an entry that stands for one of the named ones in another unit: with -flto the names are in
// the units of the sources and the places in units of their own. A reference to another unit is the offset, so that most units
// are ruled out by their bytes.
func (d *DWARF) variableElsewhere(named []die.Entry, name string) (Variable, bool, error) {
	var refs [][]byte
	for _, e := range named {
		refs = append(refs, uint32Bytes(d.data, e.Off()))
	}
	for _, u := range d.data.Units() {
		b, err := u.Peek(nil)
		if err != nil {
			return Variable{}, false, err
		}
		if !slices.ContainsFunc(refs, func(ref []byte) bool { return bytes.Contains(b, ref) }) {
			continue
		}
		if v, ok, err := d.variableIn(u, named, name); ok || err != nil {
			return v, ok, err
		}
	}
	return Variable{}, false, nil
}

// fixed makes a Variable of the entry that has the address and the entry that has the type; ok is false if it has no fixed address.
func (d *DWARF) fixed(place, typed die.Entry, name string) (Variable, bool, error) {
	loc, ok := place.Attr(dwarf.AttrLocation)
	if !ok {
		return Variable{}, false, nil
	}
	addr, ok := loc.FixedAddr()
	if !ok {
		return Variable{}, false, nil
	}
	v := Variable{Name: name, Addr: addr}
	if root, err := typed.Unit().Root(); err == nil {
		v.Unit = root.Name()
	}
	to, ok, err := typed.Ref(dwarf.AttrType)
	if !ok { // the defining entry leaves out what its declaration says
		if decl, more, derr := typed.Ref(dwarf.AttrSpecification); more && derr == nil {
			to, ok, err = decl.Ref(dwarf.AttrType)
		}
	}
	if !ok || err != nil {
		return Variable{}, false, err
	}
	t, err := d.resolve(to)
	if errors.Is(err, ErrNoStruct) {
		err = nil // of a structure that no unit defines: the address is good all the same
	}
	v.Field = t.Field
	return v, true, err
}

// standsFor says which of the named entries an entry gives the place of.
func standsFor(e die.Entry, named []die.Entry) (die.Entry, bool) {
	for _, attr := range []dwarf.Attr{dwarf.AttrSpecification, dwarf.AttrAbstractOrigin} {
		to, ok, err := e.Ref(attr)
		if !ok || err != nil {
			continue
		}
		for _, n := range named {
			if n.Unit() == to.Unit() && n.Off() == to.Off() {
				return n, true
			}
		}
	}
	return die.Entry{}, false
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
