package ctype

import (
	"errors"

	"guestcore/internal/objfile"
)

// DWARF is a Layouts read from debug information, and finds variables there. Nothing is indexed: a name is searched for when it
// is asked for. The methods may be called from several goroutines.
type DWARF struct{}

var errTodo = errors.New("not written yet")

// FromDWARF reads the debug information that belongs to an object file: in the file itself, in its separate debug file, or
// shared in a supplementary file that dwz made. With none of them the error wraps objfile.ErrNoDebugInfo.
func FromDWARF(f *objfile.File) (*DWARF, error) { return nil, errTodo }

// Struct finds the complete definition of a structure, a union or a typedef of one, in whichever unit has it.
func (d *DWARF) Struct(name string) (*Struct, error) { return nil, errTodo }

// Variable finds a variable with a fixed address: with function "" one at file scope (static or not), else a static one inside
// that function, inlined or not. An unknown name gives an error that wraps ErrNoVariable.
func (d *DWARF) Variable(function, name string) (Variable, error) { return Variable{}, errTodo }

// Variable is a variable with a fixed address.
type Variable struct {
	Name string
	Addr uint64 // link-time virtual address: add the load bias
	Unit string // the compile unit's name, "../softmmu/memory.c"
	Field
}
