package ctype

import (
	"debug/dwarf"
	"errors"
	"fmt"

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
	err := d.search(name, isVariable, func(u *die.Unit) (bool, error) {
		var err error
		v, found, err = d.variableIn(u, function, name)
		return found, err
	})
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

// variableIn finds a variable in one unit. The entry with the name may have no address: it may be a declaration, or belong to the
// abstract form of a function that was inlined. Then another entry names it as its specification or origin and has the address.
func (d *DWARF) variableIn(u *die.Unit, function, name string) (Variable, bool, error) {
	root, err := u.Root()
	if err != nil {
		return Variable{}, false, err
	}
	var named []die.Entry
	var inside []string // names of the enclosing functions, "" for other entries; by depth
	for c, err := range root.Walk() {
		if err != nil {
			return Variable{}, false, err
		}
		inside = inside[:min(len(inside), c.Depth-1)]
		if c.HasChildren() {
			inside = append(inside, functionName(c.Entry))
		}
		if c.Tag != dwarf.TagVariable || !c.Named(name) || innermost(inside) != function {
			continue
		}
		if v, ok, err := d.fixed(root, c.Entry, c.Entry, name); ok || err != nil {
			return v, ok, err
		}
		named = append(named, c.Entry)
	}
	if named == nil {
		return Variable{}, false, nil
	}
	for c, err := range root.Walk() {
		if err != nil {
			return Variable{}, false, err
		}
		if c.Tag != dwarf.TagVariable {
			continue
		}
		if to, ok := standsFor(c.Entry, named); ok {
			if v, ok, err := d.fixed(root, c.Entry, to, name); ok || err != nil {
				return v, ok, err
			}
		}
	}
	return Variable{}, false, nil
}

// fixed makes a Variable of the entry that has the address and the entry that has the type; ok is false if it has no fixed address.
func (d *DWARF) fixed(root, place, typed die.Entry, name string) (Variable, bool, error) {
	loc, ok := place.Attr(dwarf.AttrLocation)
	if !ok {
		return Variable{}, false, nil
	}
	addr, ok := loc.FixedAddr()
	if !ok {
		return Variable{}, false, nil
	}
	v := Variable{Name: name, Addr: addr, Unit: root.Name()}
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
