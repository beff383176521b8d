// Package ctype answers where the members of C structures lie: offset, size and kind of a member by its path, such as
// "addr.start", "blocks.lh_first" or "cr[3]". The answers come from DWARF (FromDWARF) or from a table of offsets
// (ParseTable); both are a Layouts.
//
// It reads no object: it knows nothing of processes, addresses or values, and no name of the program it describes. Package
// cvalue, above, puts a layout on memory; package objfile, below, finds the debug information.
package ctype

import (
	"errors"
	"fmt"
)

var (
	// ErrNoStruct means that the source has no complete structure of that name.
	ErrNoStruct = errors.New("no such structure")
	// ErrNoMember means that the structure is known and has no such member, or that its source does not say enough to tell.
	ErrNoMember = errors.New("no such member")
	// ErrNoVariable means that the debug information has no variable of that name with a fixed address.
	ErrNoVariable = errors.New("no such variable")
)

// Layouts answers where the members of C structures lie. The name is a structure's or union's tag or a typedef's name.
// An unknown name gives an error that wraps ErrNoStruct.
type Layouts interface {
	Struct(name string) (*Struct, error)
}

// Struct is the layout of one structure or union.
type Struct struct {
	Name string // as it was asked for, without "struct "
	Size uint64 // bytes; 0: the source does not say
	From string // which file or table says so, for the user

	members members
}

// members is what a source knows of one structure.
type members interface {
	field(path string) (Field, error)
}

// Field finds a member by its path: names joined by dots, with [N] for an element of an array. A member of an anonymous
// structure or union is found as if it were the outer one's. An unknown path gives an error that wraps ErrNoMember.
func (s *Struct) Field(path string) (Field, error) {
	f, err := s.members.field(path)
	if err != nil {
		return Field{}, fmt.Errorf("struct %s (%s): member %s: %w", s.Name, s.From, path, err)
	}
	return f, nil
}

// Has says whether the path names a member.
func (s *Struct) Has(path string) bool {
	_, err := s.members.field(path)
	return err == nil
}

// Field is one member. From a table only Offset is known.
type Field struct {
	Offset uint64 // bytes from the start of the Struct that was asked
	Size   uint64 // bytes; 0: the source does not say, or a flexible array
	Kind   Kind   // typedefs and qualifiers are looked through
	Signed bool   // of KindInt and KindEnum
	Type   string // as C spells it, "struct FlatView *"; "" from a table
	// Target is the tag or typedef name of the structure that a struct or union is, that a pointer points to or that the
	// elements of an array are; "" if it is none or has no name. Ask the Layouts for it.
	Target string
	Elem   *Field // the element of an array, with its Offset that of element 0; nil for other kinds
	Count  uint64 // elements of an array; 0 for a flexible one
	Bits   *Bits  // nil unless the member is a bit-field
}

// Bits places a bit-field in the bytes of its Field: value = (load(Offset, Size) >> Shift) & (1<<Width - 1), the load in the
// byte order of the machine.
type Bits struct {
	Shift uint64 // bits, from the least significant one
	Width uint64 // bits
}

// Kind sorts the types by what a reader of memory has to do.
type Kind int

// The kinds. KindUnknown is what a table gives.
const (
	KindUnknown Kind = iota
	KindBool
	KindInt // any integer or character; Size 16 for __int128
	KindFloat
	KindEnum
	KindPointer
	KindArray
	KindStruct
	KindUnion
	KindFunc
	KindVoid
)

var kindNames = [...]string{"unknown", "bool", "int", "float", "enum", "pointer", "array", "struct", "union", "func", "void"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}
