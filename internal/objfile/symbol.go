package objfile

import (
	"debug/elf"
	"fmt"
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// Symbol is one entry of a symbol table.
type Symbol struct {
	Name  string // as it stands in the table, mangled
	Value uint64 // link-time virtual address; an offset in thread storage if Type is STT_TLS
	Size  uint64 // bytes; 0: not known
	Type  elf.SymType
	Bind  elf.SymBind
	From  Table
}

// Demangled is the name as a person writes it: C++ and Rust names in clear, others as they are.
func (s Symbol) Demangled() string { return demangle.Filter(s.Name) }

// Table names one symbol table.
type Table struct {
	File    string // path
	Section string // ".symtab", ".dynsym", ".gnu_debugdata"
}

func (t Table) String() string { return t.File + " " + t.Section }

// Lookup finds a symbol by its exact (mangled) name: in .symtab of the file, of its separate debug file, in .dynsym, and only
// if no debug file was found in the compressed .gnu_debugdata. A global symbol goes before a local one of the same table. An
// unknown name gives an error that wraps ErrNoSymbol and names the tables searched.
func (f *File) Lookup(name string) (Symbol, error) {
	return f.search(name, func(t *symtab) (Symbol, bool) { return t.find(name) })
}

// LookupStatic finds the symbol of a static variable inside a function, which compilers name "name.1234" or "function.name". It
// needs a .symtab, and a name that no other function's static variable has.
func (f *File) LookupStatic(function, name string) (Symbol, error) {
	return f.search(function+"::"+name, func(t *symtab) (Symbol, bool) { return t.findStatic(function, name) })
}

// search asks the tables in order until one answers.
func (f *File) search(name string, ask func(*symtab) (Symbol, bool)) (Symbol, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var asked []string
	for t := range f.tables {
		if s, ok := ask(t); ok {
			f.opts.Log.Debug("symbol", "name", name, "value", s.Value, "from", t.from.String())
			return s, nil
		}
		asked = append(asked, t.from.String())
	}
	if asked == nil {
		asked = []string{f.main.path + ", which has no symbol table"}
	}
	return Symbol{}, fmt.Errorf("%s: looked in %s: %w", name, strings.Join(asked, ", "), ErrNoSymbol)
}

// tables yields the symbol tables in the order they are asked. A later one is looked for only when the earlier ones did not
// answer. The caller holds f.mu.
func (f *File) tables(yield func(*symtab) bool) {
	sources := []struct {
		image   func() *image
		section string
	}{
		{func() *image { return f.main }, ".symtab"},
		{f.separateImage, ".symtab"},
		{func() *image { return f.main }, ".dynsym"},
		{f.miniImage, ".symtab"},
	}
	for _, s := range sources {
		img := s.image()
		if img == nil {
			continue
		}
		t, err := img.symtab(s.section)
		if err != nil {
			f.warn("%v; its symbols are not used", err)
		}
		if t != nil && !yield(t) {
			return
		}
	}
}

// SymbolAt finds the function or object that covers a link-time address, or failing one the last symbol of unknown size before
// it in the same section, and the distance from its start. A place that no symbol covers has none, as in gdb.
func (f *File) SymbolAt(vaddr uint64) (sym Symbol, offset uint64, ok bool) {
	sec := f.main.sectionAt(vaddr)
	if sec == nil {
		return Symbol{}, 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for t := range f.tables {
		if e, found := t.at(vaddr, sec.Addr); found && (!ok || e.value > sym.Value) {
			sym, ok = t.symbol(e), true
		}
		if ok && (sym.Size != 0 || t.from.Section == ".symtab") {
			break // a whole table answered; the ones after it know less
		}
	}
	return sym, vaddr - sym.Value, ok
}

// sectionAt finds the allocated section that covers an address.
func (img *image) sectionAt(vaddr uint64) *elf.Section {
	for _, s := range img.elf.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_TLS == 0 && vaddr >= s.Addr && vaddr-s.Addr < s.Size {
			return s
		}
	}
	return nil
}
