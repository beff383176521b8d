package objfile_test

import (
	"debug/elf"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	exe := build(t, dir)
	syms := objtest.Symbols(t, exe)
	counter := ""
	for name := range syms {
		if strings.HasPrefix(name, "counter.") {
			counter = name
		}
	}
	debug := filepath.Join(dir, "debug")
	id := objtest.BuildID(t, exe)

	stripped := filepath.Join(dir, "stripped")
	objtest.Run(t, "cp", exe, stripped)
	objtest.Split(t, stripped, objtest.BuildIDPath(debug, id), false)
	mini := filepath.Join(dir, "mini")
	objtest.Run(t, "cp", exe, mini)
	objtest.MiniDebug(t, mini)
	bare := filepath.Join(dir, "bare")
	objtest.Run(t, "cp", stripped, bare)

	withDebug := objfile.Options{DebugDirs: []string{debug}, Cache: "/nonexistent"}
	for _, c := range []struct {
		form   string
		file   string
		opts   objfile.Options
		symbol string
		from   string // "": not found
	}{
		{"whole", exe, nowhere(t), "exported", "prog .symtab"},
		{"whole", exe, nowhere(t), "hidden", "prog .symtab"},
		{"whole", exe, nowhere(t), "_ZN4qemu4coreEi", "prog .symtab"},
		{"whole", exe, nowhere(t), "idden", ""},
		{"whole", exe, nowhere(t), "", ""},
		{"debug file", stripped, withDebug, "hidden", ".debug .symtab"},
		{"debug file", stripped, withDebug, "exported", ".debug .symtab"},
		{"bare", bare, nowhere(t), "exported", "bare .dynsym"},
		{"bare", bare, nowhere(t), "hidden", ""},
		{"bare", bare, nowhere(t), "__libc_start_main", ""}, // undefined there
		{"mini", mini, nowhere(t), "exported", "mini .dynsym"},
		{"mini", mini, nowhere(t), "hidden", "mini .gnu_debugdata"},
		{"mini beside a debug file", mini, withDebug, "hidden", ".debug .symtab"},
	} {
		f := open(t, c.file, c.opts)
		s, err := f.Lookup(c.symbol)
		if c.from == "" {
			if !errors.Is(err, objfile.ErrNoSymbol) {
				t.Errorf("%s: %q: %+v, %v; want ErrNoSymbol", c.form, c.symbol, s, err)
			}
			continue
		}
		if err != nil || s.Value != syms[c.symbol] || s.Name != c.symbol || !strings.HasSuffix(s.From.String(), c.from) {
			t.Errorf("%s: %q: %+v, %v; want %#x from %s", c.form, c.symbol, s, err, syms[c.symbol], c.from)
		}
	}
	if p := open(t, mini, withDebug).Describe(); strings.Contains(strings.Join(p.Symbols, " "), ".gnu_debugdata") {
		t.Errorf("mini beside a debug file: tables %q; .gnu_debugdata is for want of a better", p.Symbols)
	}
	f := open(t, exe, nowhere(t))
	if s, err := f.LookupStatic("cxx", "counter"); err != nil || s.Value != syms[counter] {
		t.Errorf("static counter: %+v, %v; nm says %s is at %#x", s, err, counter, syms[counter])
	}
	if _, err := f.LookupStatic("cxx", "count"); !errors.Is(err, objfile.ErrNoSymbol) {
		t.Errorf("static count: %v; want ErrNoSymbol", err)
	}
}

// A global symbol goes before a local one of the same name, which comes first in the table.
func TestLookupGlobal(t *testing.T) {
	exe := objtest.Compile(t, t.TempDir(), "prog", map[string]string{
		"a.c": "static int twice = 1; int main(void) { return twice++; }",
		"b.c": "int twice = 2;",
	})
	s, err := open(t, exe, nowhere(t)).Lookup("twice")
	if want := objtest.Symbols(t, exe, "-g")["twice"]; err != nil || s.Value != want || s.Bind != elf.STB_GLOBAL {
		t.Errorf("twice: %+v, %v; want the global one at %#x", s, err, want)
	}
}

func TestSymbolAt(t *testing.T) {
	exe := build(t, t.TempDir())
	syms := objtest.Symbols(t, exe)
	f := open(t, exe, nowhere(t))
	for _, c := range []struct {
		at        uint64
		name      string
		demangled string
		offset    uint64
	}{
		{syms["_ZN4qemu4coreEi"] + 3, "_ZN4qemu4coreEi", "qemu::core(int)", 3},
		{syms["_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"], "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad", 0},
		{syms["main"] + 1, "main", "main", 1},
		{syms["local_one"] + 2, "local_one", "local_one", 2},
		{syms["zeroed"] + 399, "zeroed", "zeroed", 399},
		{syms["zeroed"] + 400, "", "", 0},
		{0x10, "", "", 0},
		{1<<64 - 1, "", "", 0},
	} {
		s, off, ok := f.SymbolAt(c.at)
		if c.name == "" {
			if ok && s.Name == "zeroed" || ok && c.at < 4096 {
				t.Errorf("%#x: %+v; want none", c.at, s)
			}
			continue
		}
		if !ok || s.Name != c.name || off != c.offset || s.Demangled() != c.demangled {
			t.Errorf("%#x: %s (%s) + %d, %v; want %s (%s) + %d", c.at, s.Name, s.Demangled(), off, ok, c.name, c.demangled, c.offset)
		}
	}
}

// Of a program with .gnu_debugdata the functions come from there.
func TestSymbolAtMini(t *testing.T) {
	exe := build(t, t.TempDir())
	syms := objtest.Symbols(t, exe)
	objtest.MiniDebug(t, exe)
	f := open(t, exe, nowhere(t))
	s, off, ok := f.SymbolAt(syms["local_one"] + 2)
	if !ok || s.Name != "local_one" || off != 2 || s.From.Section != ".gnu_debugdata" {
		t.Errorf("%+v + %d, %v; want local_one + 2 from .gnu_debugdata", s, off, ok)
	}
	if s, _, ok = f.SymbolAt(syms["main"]); !ok || s.Name != "main" {
		t.Errorf("%+v, %v; want main", s, ok)
	}
}
