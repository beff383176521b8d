package ctype

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Table is a Layouts made of offsets. Its fields have KindUnknown, or KindArray, and often no size: a table knows where a member lies
// and not what it is. Only the paths that it lists can be asked, and the elements of arrays whose count it has.
type Table struct {
	From    string // the key it had in its file: a version of the program
	structs map[string]tableStruct
}

// tableStruct is one structure as it stands in the JSON. All numbers are bytes; a null size is one that is not known.
type tableStruct struct {
	Size   *uint64 `json:"size"`
	Fields places  `json:"fields"`
}

// ParseTable reads a file of tables, one for each version of a program:
//
//	{"7.2.22": {"CPUX86State": {"size": 14880, "fields": {"eip": [128, 8], "segs": [184, 24, 6], "segs[].base": [192, 8]}}}}
//
// A member is its offset, [offset, size] or, of an array, [offset, size of an element, count]; see [Place]. Members outside a
// structure of known size are refused.
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
			for path, p := range s.Fields {
				if s.Size != nil && !p.within(*s.Size) {
					return nil, fmt.Errorf("layout table: %s: %s.%s: offset %d is outside the structure of %d bytes",
						version, name, path, p.Offset, *s.Size)
				}
			}
		}
		tables[version] = &Table{From: version, structs: structs}
	}
	return tables, nil
}

// Record is one structure of a table.
type Record struct {
	Size    uint64           // bytes; 0: not known
	Members map[string]Place // by path
}

// MakeTable makes a table of structures by name.
func MakeTable(from string, records map[string]Record) *Table {
	t := &Table{From: from, structs: map[string]tableStruct{}}
	for name, r := range records {
		s := tableStruct{Fields: maps.Clone(r.Members)}
		if r.Size != 0 {
			s.Size = &r.Size
		}
		t.structs[name] = s
	}
	return t
}

// Record is a copy of what the table has of a structure.
func (t *Table) Record(name string) (Record, bool) {
	s, ok := t.structs[name]
	r := Record{Members: maps.Clone(s.Fields)}
	if s.Size != nil {
		r.Size = *s.Size
	}
	return r, ok
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
	p, ok := s.Fields.find(path)
	if !ok {
		return Field{}, ErrNoMember
	}
	return p.field(), nil
}
