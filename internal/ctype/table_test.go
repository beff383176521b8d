package ctype_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
)

const tablesJSON = `{
"7.2.22":{
"FlatRange":{"size":64,"fields":{"addr.start":16,"mr":0}},
"Open":{"size":null,"fields":{"far":100000}}},
"8.0":{}}
`

func tables(t *testing.T, text string) map[string]*ctype.Table {
	t.Helper()
	m, err := ctype.ParseTable(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTable(t *testing.T) {
	m := tables(t, tablesJSON)
	if len(m) != 2 {
		t.Fatalf("%d tables, want 2", len(m))
	}
	table := m["7.2.22"]
	s, err := table.Struct("FlatRange")
	if err != nil || s.Size != 64 || s.Name != "FlatRange" || s.From != "table 7.2.22" {
		t.Fatalf("FlatRange: %+v, %v", s, err)
	}
	f, err := s.Field("addr.start")
	if diff := cmp.Diff(ctype.Field{Offset: 16}, f); diff != "" || err != nil {
		t.Errorf("addr.start: %v %s", err, diff)
	}
	if f.Kind != ctype.KindUnknown {
		t.Errorf("kind %v, want unknown", f.Kind)
	}
	for _, path := range []string{"addr", "addr.size", "", "mr.x"} {
		if _, err := s.Field(path); !errors.Is(err, ctype.ErrNoMember) || s.Has(path) {
			t.Errorf("%q: error %v, want ErrNoMember", path, err)
		}
	}
	if s, err := table.Struct("Open"); err != nil || s.Size != 0 || !s.Has("far") {
		t.Errorf("Open: %+v, %v", s, err)
	}
	if _, err := table.Struct("FlatView"); !errors.Is(err, ctype.ErrNoStruct) {
		t.Errorf("FlatView: error %v, want ErrNoStruct", err)
	}
}

func TestTableRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "not the JSON"},
		{"null", "null", "null"},
		{"list", "[]", "not the JSON"},
		{"two objects", tablesJSON + "{}", "something follows"},
		{"cut", tablesJSON[:80], "not the JSON"},
		{"negative offset", `{"1":{"S":{"size":8,"fields":{"a":-1}}}}`, "not the JSON"},
		{"offset at the end", `{"1":{"S":{"size":8,"fields":{"a":8}}}}`, "S.a: offset 8 is outside the structure of 8 bytes"},
	} {
		if _, err := ctype.ParseTable(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.want)
		}
	}
}

func TestWriteTables(t *testing.T) {
	var b bytes.Buffer
	if err := ctype.WriteTables(&b, tables(t, tablesJSON)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tablesJSON, b.String()); diff != "" {
		t.Errorf("written table (-want +got):\n%s", diff)
	}
}

// A table made of DWARF says what DWARF says, and what is missing.
func TestNewTable(t *testing.T) {
	d := open(t, compile(t, t.TempDir(), "prog", "-g"), objfile.Options{})
	table, missing, err := ctype.NewTable(d, "1.0", ctype.Wanted{
		"Everything": {"range.size", "segs[4].base", "nine", "absent", "deep"},
		"Absent":     {"a"},
		"View":       {"nr"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Absent", "Everything.absent", "Everything.nine"}, missing); diff != "" {
		t.Errorf("missing: %s", diff)
	}
	for _, c := range []struct{ name, path string }{
		{"Everything", "range.size"}, {"Everything", "segs[4].base"}, {"Everything", "deep"}, {"View", "nr"},
	} {
		want, err := d.Struct(c.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := table.Struct(c.name)
		if err != nil {
			t.Fatal(err)
		}
		wantField, err := want.Field(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := got.Field(c.path); err != nil || f.Offset != wantField.Offset || got.Size != want.Size {
			t.Errorf("%s.%s: %d of %d, %v; want %d of %d", c.name, c.path, f.Offset, got.Size, err, wantField.Offset, want.Size)
		}
	}
}

// What is read can be written and read again, and every offset lies in its structure.
func FuzzTable(f *testing.F) {
	f.Add(tablesJSON)
	f.Add(`{"":{"":{"fields":null}}}`)
	f.Add(`{"a":{"s":{"size":18446744073709551615,"fields":{"a[0].b":18446744073709551614}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		first, err := ctype.ParseTable(strings.NewReader(text))
		if err != nil {
			return
		}
		for version, table := range first {
			for _, name := range table.Structs() {
				s, err := table.Struct(name)
				if err != nil {
					t.Fatal(err)
				}
				for _, path := range table.Fields(name) {
					if m, err := s.Field(path); err != nil || s.Size != 0 && m.Offset >= s.Size {
						t.Fatalf("%q %q %q: %+v of %d, %v", version, name, path, m, s.Size, err)
					}
				}
			}
		}
		var b bytes.Buffer
		if err := ctype.WriteTables(&b, first); err != nil {
			t.Fatal(err)
		}
		again, err := ctype.ParseTable(&b)
		if err != nil {
			t.Fatalf("own output: %v", err)
		}
		if diff := cmp.Diff(wanted(first), wanted(again)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func wanted(tables map[string]*ctype.Table) map[string]ctype.Wanted {
	m := map[string]ctype.Wanted{}
	for version, t := range tables {
		m[version] = t.Wanted()
	}
	return m
}
