package ctype_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

// What a member is, beside where it lies.
func TestKinds(t *testing.T) {
	for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
		d := open(t, compile(t, t.TempDir(), "prog", version, "-O2"), objfile.Options{})
		s, err := d.Struct("Everything")
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]ctype.Field{
			"volatile_int":  {Size: 4, Kind: ctype.KindInt, Signed: true, Type: "volatile int"},
			"text":          {Size: 8, Kind: ctype.KindPointer, Type: "const char * const"},
			"yes":           {Size: 1, Kind: ctype.KindBool, Type: "_Bool"},
			"range":         {Size: 32, Kind: ctype.KindStruct, Type: "Range", Target: "Range"},
			"range.start":   {Size: 16, Kind: ctype.KindInt, Signed: true, Type: "Wide"},
			"wide":          {Size: 16, Kind: ctype.KindInt, Signed: true, Type: "__int128"},
			"old.lo":        {Size: 8, Kind: ctype.KindInt, Type: "uint64_t"},
			"both":          {Size: 4, Kind: ctype.KindUnion, Type: "union both", Target: "both"},
			"segs":          {Size: 144, Kind: ctype.KindArray, Type: "struct Segment [6]", Target: "Segment", Count: 6},
			"segs[5]":       {Size: 24, Kind: ctype.KindStruct, Type: "struct Segment", Target: "Segment"},
			"seg":           {Size: 8, Kind: ctype.KindPointer, Type: "struct Segment *", Target: "Segment"},
			"grid":          {Size: 24, Kind: ctype.KindArray, Type: "int [2][3]", Count: 2},
			"grid[1]":       {Size: 12, Kind: ctype.KindArray, Type: "int [3]", Count: 3},
			"grid[1][2]":    {Size: 4, Kind: ctype.KindInt, Signed: true, Type: "int"},
			"d":             {Size: 8, Kind: ctype.KindFloat, Type: "double"},
			"pv":            {Size: 8, Kind: ctype.KindPointer, Type: "void *"},
			"call":          {Size: 8, Kind: ctype.KindPointer, Type: "function *"},
			"view":          {Size: 8, Kind: ctype.KindPointer, Type: "View *", Target: "View"},
			"nameless":      {Size: 8, Kind: ctype.KindPointer, Type: "Nameless *", Target: "Nameless"},
			"mood":          {Size: 4, Kind: ctype.KindEnum, Signed: true, Type: "Mood"},
			"plain":         {Size: 4, Kind: ctype.KindEnum, Type: "enum plain"},
			"hidden":        {Size: 8, Kind: ctype.KindPointer, Type: "struct hidden *", Target: "hidden"},
			"list.last":     {Size: 8, Kind: ctype.KindPointer, Type: "struct node **"},
			"empty":         {Size: 0, Kind: ctype.KindStruct, Type: "struct empty", Target: "empty"},
			"both.byte":     {Size: 4, Kind: ctype.KindArray, Type: "uint8_t [4]", Count: 4},
			"in_anon":       {Size: 4, Kind: ctype.KindInt, Signed: true, Type: "int"},
			"segs[0].flags": {Size: 4, Kind: ctype.KindInt, Type: "uint32_t"},
		} {
			got, err := s.Field(path)
			if err != nil {
				t.Errorf("%s: %v", version, err)
				continue
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ctype.Field{}, "Offset", "Elem")); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", version, path, diff)
			}
			if (got.Kind == ctype.KindArray) != (got.Elem != nil) {
				t.Errorf("%s: %s: element %+v of a %v", version, path, got.Elem, got.Kind)
			}
		}
		segs, _ := s.Field("segs")
		first, _ := s.Field("segs[0]")
		if diff := cmp.Diff(&first, segs.Elem); diff != "" {
			t.Errorf("%s: element of segs: %s", version, diff)
		}
		row, _ := s.Field("grid[1]")
		cell, _ := s.Field("grid[1][0]")
		if diff := cmp.Diff(&cell, row.Elem); diff != "" {
			t.Errorf("%s: element of grid[1]: %s", version, diff)
		}
	}
}

func TestNotThere(t *testing.T) {
	d := open(t, compile(t, t.TempDir(), "prog", "-g", "-O2"), objfile.Options{})
	for _, name := range []string{"Absent", "", "main", "everything", "Mood", "uint64_t", "grid", "verything", "struct "} {
		if s, err := d.Struct(name); !errors.Is(err, ctype.ErrNoStruct) {
			t.Errorf("struct %q: %+v, %v; want ErrNoStruct", name, s, err)
		}
	}
	s, err := d.Struct("Everything")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"absent", "", ".", "range.", ".range", "range.absent", "segs[6]", "segs[-1]", "segs[", "segs[1", "segs[x]",
		"segs[1]base", "cr[1][1]", "cr.x", "pv.x", "view.nr", "segs.base", "grid[2]", "grid[0][3]"} {
		if f, err := s.Field(path); !errors.Is(err, ctype.ErrNoMember) || s.Has(path) {
			t.Errorf("%q: %+v, %v; want ErrNoMember", path, f, err)
		}
	}
	for _, v := range [][2]string{{"", "absent"}, {"", "state"}, {"main", "state"}, {"absent", "state"}, {"realize", "everything"}, {"", "main"}, {"", ""}} {
		if got, err := d.Variable(v[0], v[1]); !errors.Is(err, ctype.ErrNoVariable) {
			t.Errorf("variable %q::%q: %+v, %v; want ErrNoVariable", v[0], v[1], got, err)
		}
	}
}

func TestNoDebugInfo(t *testing.T) {
	exe := compile(t, t.TempDir(), "prog", "-s")
	f, err := objfile.Open(exe, objfile.Options{DebugDirs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ctype.FromDWARF(f); !errors.Is(err, objfile.ErrNoDebugInfo) {
		t.Errorf("error %v, want ErrNoDebugInfo", err)
	}
}

// Without the supplementary file an answer that needs it is an error that names it, and no wrong answer.
func TestSupplementaryMissing(t *testing.T) {
	dir := t.TempDir()
	exe := compile(t, dir, "prog", "-g", "-O2")
	shared := filepath.Join(dir, "shared.debug")
	dwz(t, dir, exe, shared)
	if err := os.Remove(shared); err != nil {
		t.Fatal(err)
	}
	f, err := objfile.Open(exe, objfile.Options{DebugDirs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := ctype.FromDWARF(f)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, name := range []string{"Everything", "node", "packed"} {
		s, err := d.Struct(name)
		if err != nil {
			failed++
			if !strings.Contains(err.Error(), shared) {
				t.Errorf("struct %s: error %v does not name %s", name, err, shared)
			}
			continue
		}
		if s.Size == 0 {
			t.Errorf("struct %s: size 0 and no error", name)
		}
	}
	if failed == 0 {
		t.Error("nothing was in the supplementary file")
	}
}

// Several goroutines may ask at once, of a File and of the DWARF that reads it.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	exe := compile(t, dir, "prog", "-g", "-O2")
	objtest.Split(t, exe, filepath.Join(dir, "prog.debug"), true)
	f, err := objfile.Open(exe, objfile.Options{DebugDirs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := ctype.FromDWARF(f)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, name := range []string{"Everything", "View", "node", "hidden"} {
				if s, err := d.Struct(name); err != nil || s.Size == 0 {
					t.Errorf("%s: %+v, %v", name, s, err)
				} else if name == "Everything" && !s.Has("segs[2].base") {
					t.Error("Everything has no segs[2].base")
				}
			}
			if _, err := f.Lookup("everything"); err != nil {
				t.Error(err)
			}
			if _, err := d.Variable("realize", "state"); err != nil {
				t.Error(err)
			}
			f.SymbolAt(f.Header().Entry)
			f.Describe()
		})
	}
	wg.Wait()
}

// unusual is debug information that gcc does not write: names by index as clang has them; a structure whose name is not its first
// attribute; a member of a structure that is only declared in its unit and complete in the next; a variable whose name, definition and
// place lie in three units.
const unusual = `
	.data
target:	.quad 1
	.section .debug_abbrev,"",@progbits
	.uleb128 1; .uleb128 0x11; .byte 1; .uleb128 0x72; .uleb128 0x17; .uleb128 0x73; .uleb128 0x17; .byte 0,0 # unit: str_offsets_base, addr_base
	.uleb128 2; .uleb128 0x13; .byte 1; .uleb128 0x03; .uleb128 0x25; .uleb128 0x0b; .uleb128 0x0b; .byte 0,0 # structure: name strx1, byte_size data1
	.uleb128 3; .uleb128 0x0d; .byte 0; .uleb128 0x03; .uleb128 0x25; .uleb128 0x49; .uleb128 0x13; .uleb128 0x38; .uleb128 0x0b; .byte 0,0 # member: name, type, place
	.uleb128 4; .uleb128 0x13; .byte 0; .uleb128 0x03; .uleb128 0x0e; .uleb128 0x3c; .uleb128 0x19; .byte 0,0 # structure: name strp, declaration
	.uleb128 5; .uleb128 0x24; .byte 0; .uleb128 0x0b; .uleb128 0x0b; .uleb128 0x3e; .uleb128 0x0b; .uleb128 0x03; .uleb128 0x08; .byte 0,0 # base type: size, encoding, name string
	.uleb128 6; .uleb128 0x34; .byte 0; .uleb128 0x03; .uleb128 0x25; .uleb128 0x49; .uleb128 0x13; .uleb128 0x02; .uleb128 0x18; .byte 0,0 # variable: name, type, location
	.byte 0
abbrev2: .uleb128 1; .uleb128 0x11; .byte 1; .byte 0,0
	.uleb128 2; .uleb128 0x13; .byte 1; .uleb128 0x0b; .uleb128 0x07; .uleb128 0x03; .uleb128 0x0e; .byte 0,0 # structure: byte_size data8, then name strp
	.uleb128 3; .uleb128 0x0d; .byte 0; .uleb128 0x03; .uleb128 0x08; .uleb128 0x49; .uleb128 0x13; .uleb128 0x38; .uleb128 0x0b; .byte 0,0
	.uleb128 5; .uleb128 0x24; .byte 0; .uleb128 0x0b; .uleb128 0x0b; .uleb128 0x3e; .uleb128 0x0b; .uleb128 0x03; .uleb128 0x08; .byte 0,0
	.byte 0
abbrev3: .uleb128 1; .uleb128 0x3c; .byte 1; .byte 0,0 # partial unit
	.uleb128 2; .uleb128 0x34; .byte 0; .uleb128 0x03; .uleb128 0x08; .uleb128 0x49; .uleb128 0x13; .uleb128 0x3c; .uleb128 0x19; .byte 0,0 # variable: name, type, declaration
	.uleb128 3; .uleb128 0x34; .byte 0; .uleb128 0x47; .uleb128 0x10; .byte 0,0 # variable: specification ref_addr
	.uleb128 4; .uleb128 0x34; .byte 0; .uleb128 0x31; .uleb128 0x10; .uleb128 0x02; .uleb128 0x18; .byte 0,0 # variable: abstract_origin ref_addr, location
	.uleb128 5; .uleb128 0x24; .byte 0; .uleb128 0x0b; .uleb128 0x0b; .uleb128 0x3e; .uleb128 0x0b; .uleb128 0x03; .uleb128 0x08; .byte 0,0
	.uleb128 6; .uleb128 0x11; .byte 1; .byte 0,0 # unit
	.byte 0
	.section .debug_info,"",@progbits
u1:	.long e1-f1
f1:	.short 5; .byte 1; .byte 8; .long 0
	.uleb128 1; .long strbase; .long addrbase
	.uleb128 2; .byte 0; .byte 16                       # indexed
	.uleb128 3; .byte 1; .long int1-u1; .byte 8         # .value
	.byte 0
	.uleb128 2; .byte 2; .byte 40                       # outer
	.uleb128 3; .byte 3; .long decl-u1; .byte 16        # .inner
	.byte 0
decl:	.uleb128 4; .long late
int1:	.uleb128 5; .byte 4; .byte 5; .asciz "int"
	.uleb128 6; .byte 4; .long int1-u1; .uleb128 2; .byte 0xa1; .uleb128 1
	.byte 0
e1:
u2:	.long e2-f2
f2:	.short 5; .byte 1; .byte 8; .long abbrev2
	.uleb128 1
	.uleb128 2; .quad 24; .long late
	.uleb128 3; .asciz "x"; .long int2-u2; .byte 20
	.byte 0
int2:	.uleb128 5; .byte 4; .byte 5; .asciz "int"
	.uleb128 2; .quad 7; .long many
	.byte 0
	.byte 0
e2:
u3:	.long e3-f3
f3:	.short 5; .byte 3; .byte 8; .long abbrev3
	.uleb128 1
hop1:	.uleb128 2; .asciz "hopper"; .long int3-u3
int3:	.uleb128 5; .byte 8; .byte 5; .asciz "long"
	.byte 0
e3:	.long e4-f4
f4:	.short 5; .byte 1; .byte 8; .long abbrev3
	.uleb128 6
hop2:	.uleb128 3; .long hop1
	.byte 0
e4:	.long e5-f5
f5:	.short 5; .byte 1; .byte 8; .long abbrev3
	.uleb128 6
	.uleb128 4; .long hop2; .uleb128 9; .byte 3; .quad target
	.byte 0
e5:
	.section .debug_str_offsets,"",@progbits
	.long 4+20; .short 5, 0
strbase: .long s0, s1, s2, s3, s4
	.section .debug_addr,"",@progbits
	.long 4+16; .short 5; .byte 8, 0
addrbase: .quad 0x1111, target
	.section .debug_str,"MS",@progbits,1
s0:	.asciz "indexed"
s1:	.asciz "value"
s2:	.asciz "outer"
s3:	.asciz "inner"
s4:	.asciz "variable"
late:	.asciz "late"
many:	.asciz "many"
`

func TestUnusual(t *testing.T) {
	source := unusual
	for i := range 100 { // a name that ends a hundred others
		source += fmt.Sprintf("\t.asciz \"of%d_many\"\n", i)
	}
	exe := objtest.Assemble(t, t.TempDir(), "prog", source)
	d := open(t, exe, objfile.Options{})
	for _, c := range []struct {
		name   string
		size   uint64
		path   string
		offset uint64
	}{
		{"late", 24, "x", 20},
		{"indexed", 16, "value", 8},
		{"outer", 40, "inner", 16},
		{"outer", 40, "inner.x", 36},
	} {
		s, err := d.Struct(c.name)
		if err != nil {
			t.Error(err)
			continue
		}
		if f, err := s.Field(c.path); err != nil || f.Offset != c.offset || s.Size != c.size {
			t.Errorf("%s.%s at %d of %d, %v; want %d of %d", c.name, c.path, f.Offset, s.Size, err, c.offset, c.size)
		}
	}
	if s, err := d.Struct("many"); err != nil || s.Size != 7 {
		t.Errorf("many: %+v, %v; want 7 bytes", s, err)
	}
	want := objtest.Symbols(t, exe)["target"]
	for name, typ := range map[string]string{"variable": "int", "hopper": "long"} {
		if v, err := d.Variable("", name); err != nil || v.Addr != want || v.Type != typ {
			t.Errorf("%s: %+v, %v; want one of type %s at %#x", name, v, err, typ, want)
		}
	}
}

// A damaged file gives errors or answers that fit the structure, never a panic or an endless walk.
func FuzzDamaged(f *testing.F) {
	exe := compile(f, f.TempDir(), "prog", "-g", "-O2")
	whole, err := os.ReadFile(exe)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte{})
	for at := 0; at < len(whole); at += len(whole) / 64 {
		f.Add(at, []byte{0xff, 0, 0x80, 1})
	}
	f.Fuzz(func(t *testing.T, at int, patch []byte) {
		b := append([]byte{}, whole...)
		if at >= 0 && at < len(b) {
			copy(b[at:], patch)
		}
		damaged := objtest.Write(t, filepath.Join(t.TempDir(), "damaged"), string(b))
		file, err := objfile.Open(damaged, objfile.Options{DebugDirs: []string{}})
		if err != nil {
			return
		}
		defer file.Close()
		if s, err := file.Lookup("everything"); err == nil && s.Name != "everything" {
			t.Fatalf("asked for everything, got %+v", s)
		}
		file.SymbolAt(file.Header().Entry)
		d, err := ctype.FromDWARF(file)
		if err != nil {
			return
		}
		if v, err := d.Variable("realize", "state"); err == nil && v.Name != "state" {
			t.Fatalf("variable %+v", v)
		}
		s, err := d.Struct("Everything")
		if err != nil {
			return
		}
		for _, path := range []string{"deeper[2]", "segs[4].base", "neg", "view", "range.size", "absent"} {
			if m, err := s.Field(path); err == nil && m.Bits != nil && m.Bits.Shift+m.Bits.Width > 8*m.Size {
				t.Fatalf("%s: bits %+v in %d bytes", path, *m.Bits, m.Size)
			}
		}
	})
}
