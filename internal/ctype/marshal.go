package ctype

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Wanted names members by structure: {"FlatRange": {"mr", "addr.start"}}.
type Wanted map[string][]string

// Wanted is everything that the table has.
func (t *Table) Wanted() Wanted {
	w := Wanted{}
	for name := range t.structs {
		w[name] = t.Fields(name)
	}
	return w
}

// NewTable takes the wanted offsets out of any layouts. Structures and members that those do not have are left out and listed in missing,
// sorted, as "FlatRange" or "FlatRange.addr.start": a version of a program lacks what another one has. Bit-fields are left out too, a
// table cannot tell them.
func NewTable(from Layouts, version string, wanted Wanted) (t *Table, missing []string, err error) {
	t = &Table{From: version, structs: map[string]tableStruct{}}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		s, err := from.Struct(name)
		if errors.Is(err, ErrNoStruct) {
			missing = append(missing, name)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		entry := tableStruct{Fields: places{}}
		if s.Size != 0 {
			entry.Size = &s.Size
		}
		for _, path := range wanted[name] {
			f, err := s.Field(strings.ReplaceAll(path, "[]", "[0]"))
			switch {
			case errors.Is(err, ErrNoMember) || err == nil && f.Bits != nil:
				missing = append(missing, name+"."+path)
			case err != nil:
				return nil, nil, err
			default:
				entry.Fields[path] = placeOf(f)
			}
		}
		t.structs[name] = entry
	}
	slices.Sort(missing)
	return t, missing, nil
}

// placeOf is what a table keeps of a field.
func placeOf(f Field) Place {
	if f.Kind == KindArray && f.Count > 0 && f.Elem.Size > 0 {
		return Place{f.Offset, f.Elem.Size, f.Count}
	}
	return Place{Offset: f.Offset, Size: f.Size}
}

// WriteTables writes tables as ParseTable reads them, sorted, one line for each structure. The keys are the versions.
func WriteTables(w io.Writer, tables map[string]*Table) error {
	out := bufio.NewWriter(w)
	out.WriteString("{")
	for i, version := range slices.Sorted(maps.Keys(tables)) {
		t := tables[version]
		fmt.Fprintf(out, "%s%s:{", separator(i), quoted(version))
		for j, name := range t.Structs() {
			body, err := json.Marshal(t.structs[name])
			if err != nil {
				return fmt.Errorf("layout table: %s: %s: %w", version, name, err)
			}
			fmt.Fprintf(out, "%s%s:%s", separator(j), quoted(name), body)
		}
		out.WriteString("}")
	}
	out.WriteString("}\n")
	return out.Flush()
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

func quoted(s string) []byte {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}
