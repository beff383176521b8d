package ctype

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Table is a Layouts made of bare offsets. Its fields have KindUnknown and Size 0: a table knows where a member lies and not
// what it is. Only the paths that it lists can be asked.
type Table struct {
	From    string // the key it had in its file: a version of the program
	structs map[string]tableStruct
}

// tableStruct is one structure as it stands in the JSON. All numbers are bytes; a null size is one that is not known.
type tableStruct struct {
	Size   *uint64           `json:"size"`
	Fields map[string]uint64 `json:"fields"`
}

// ParseTable reads a file of tables, one for each version of a program:
//
//	{"7.2.22": {"FlatRange": {"size": 64, "fields": {"mr": 0, "addr.start": 16}}}}
//
// Offsets at or beyond the end of a structure of known size are refused.
func ParseTable(r io.Reader) (map[string]*Table, error) {
	var file map[string]map[string]tableStruct
	dec := json.NewDecoder(r)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("layout table: not the JSON {version: {struct: {size, fields}}}: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("layout table: something follows the JSON object; one object is a whole file")
	}
	if file == nil {
		return nil, errors.New("layout table: null is no table; the file is {version: {struct: {size, fields}}}")
	}
	tables := make(map[string]*Table, len(file))
	for version, structs := range file {
		for name, s := range structs {
			for path, off := range s.Fields {
				if s.Size != nil && off >= *s.Size {
					return nil, fmt.Errorf("layout table: %s: %s.%s: offset %d is outside the structure of %d bytes",
						version, name, path, off, *s.Size)
				}
			}
		}
		tables[version] = &Table{From: version, structs: structs}
	}
	return tables, nil
}

// Struct finds a structure in the table.
func (t *Table) Struct(name string) (*Struct, error) {
	s, ok := t.structs[name]
	if !ok {
		return nil, fmt.Errorf("struct %s: not in the layout table for %s: %w", name, t.From, ErrNoStruct)
	}
	var size uint64
	if s.Size != nil {
		size = *s.Size
	}
	return &Struct{Name: name, Size: size, From: "table " + t.From, members: s}, nil
}

// Structs lists the names in the table, sorted.
func (t *Table) Structs() []string { return slices.Sorted(maps.Keys(t.structs)) }

// Fields lists the member paths that the table has for a structure, sorted.
func (t *Table) Fields(name string) []string { return slices.Sorted(maps.Keys(t.structs[name].Fields)) }

func (s tableStruct) field(path string) (Field, error) {
	off, ok := s.Fields[path]
	if !ok {
		return Field{}, ErrNoMember
	}
	return Field{Offset: off}, nil
}
