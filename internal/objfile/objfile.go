// Package objfile reads an ELF executable or shared object and the debug information that belongs to it, found as gdb finds it:
// symbols by name or address, the bytes of its sections, and the raw DWARF sections.
//
// It is not a reader of core files (package inferior/core), it does not interpret DWARF (package ctype, above), and it knows
// nothing of processes: all addresses are link-time addresses, LoadBias gives the distance to a running image.
//
// Files are read with pread, piece by piece, never mapped: a file that shrinks under the reader is an error, not a signal.
package objfile

import (
	"debug/elf"
	"errors"
	"io"
	"log/slog"
)

var (
	// ErrNoSymbol means that no symbol table of the file has the name.
	ErrNoSymbol = errors.New("no such symbol")
	// ErrNoDebugInfo means that neither the file nor a separate file has DWARF for it.
	ErrNoDebugInfo = errors.New("no debug information")
	// ErrNoBuildID means that an image carries no GNU build-id.
	ErrNoBuildID = errors.New("no build-id")
	// ErrNotFound means that no executable with a build-id was found.
	ErrNotFound = errors.New("not found")

	errTodo = errors.New("not written yet")
)

// Options says where to look for what belongs to a file. The zero value looks where gdb does.
type Options struct {
	DebugDirs []string     // roots of separate debug files; nil: /usr/lib/debug
	Sysroot   string       // put before absolute paths of the target system; "": none
	Cache     string       // debuginfod's cache; "": $DEBUGINFOD_CACHE_PATH, else debuginfod_client in the user's cache directory
	Log       *slog.Logger // one debug line for each decision; nil: silent
}

// File is an open ELF file. Its methods may be called from several goroutines.
type File struct{ path string }

// Open reads the headers of an ELF file. Everything else is read when it is asked for.
func Open(path string, opts Options) (*File, error) { return nil, errTodo }

// Close closes the file and the debug files found for it. It may be called twice.
func (f *File) Close() error { return nil }

// Path is the path that the file was opened by.
func (f *File) Path() string { return f.path }

// BuildID is the file's GNU build-id, nil if it has none.
func (f *File) BuildID() BuildID { return nil }

// Header is the ELF header: Type, Machine, ByteOrder, Entry.
func (f *File) Header() elf.FileHeader { return elf.FileHeader{} }

// Segments are the program headers.
func (f *File) Segments() []elf.ProgHeader { return nil }

// LoadBias is what to add to a link-time address to have the address in the process, from the auxiliary vector's AT_PHDR and
// AT_ENTRY (0: not known). The two must agree, and a file that is not position-independent must have bias 0.
func (f *File) LoadBias(atPhdr, atEntry uint64) (uint64, error) { return 0, errTodo }

// ReadVaddr reads the file's bytes at a link-time address, as io.ReaderAt does. Only what the file itself holds is read: .bss and
// unmapped addresses give a short read with an error that wraps ErrNotInFile.
func (f *File) ReadVaddr(p []byte, vaddr uint64) (int, error) { return 0, errTodo }

// Lookup finds a symbol by its exact (mangled) name: in .symtab of the file, of its separate debug file, in .dynsym, and only
// if nothing else was found in the compressed .gnu_debugdata. A global symbol goes before a local one. An unknown name gives an
// error that wraps ErrNoSymbol and names the tables searched.
func (f *File) Lookup(name string) (Symbol, error) { return Symbol{}, errTodo }

// LookupStatic finds the symbol of a static variable inside a function, which compilers name "name.1234" or "function.name". It
// needs a .symtab.
func (f *File) LookupStatic(function, name string) (Symbol, error) { return Symbol{}, errTodo }

// SymbolAt finds the function or object that covers or last precedes a link-time address within its section, and the distance.
func (f *File) SymbolAt(vaddr uint64) (sym Symbol, offset uint64, ok bool) { return Symbol{}, 0, false }

// DebugData gives the DWARF sections that belong to the file. With none the error wraps ErrNoDebugInfo and says where was looked.
func (f *File) DebugData() (*DebugData, error) { return nil, errTodo }

// Describe says where symbols and types come from. It looks for the debug files if that was not done yet.
func (f *File) Describe() Provenance { return Provenance{} }

// Warnings are the refusals so far: a debug file with a wrong build-id or checksum, a supplementary file that is missing.
func (f *File) Warnings() []string { return nil }

// BuildID is a GNU build-id, in hex by its String.
type BuildID []byte

// BuildIDFrom reads the build-id of an ELF image, as a file or as it is mapped in memory: program headers, PT_NOTE,
// NT_GNU_BUILD_ID. The first page is enough. With none the error wraps ErrNoBuildID.
func BuildIDFrom(r io.ReaderAt) (BuildID, error) { return nil, errTodo }

// FindExecutable finds an executable by its build-id (verified): D/.build-id/XX/YYYY for every debug directory D,
// /usr/lib/.build-id/XX/YYYY, debuginfod's cache. With none the error wraps ErrNotFound and names the places.
func FindExecutable(id BuildID, opts Options) (path string, err error) { return "", errTodo }

// Symbol is one entry of a symbol table.
type Symbol struct {
	Name  string // as it stands in the table
	Value uint64 // link-time virtual address; an offset in thread storage if Type is STT_TLS
	Size  uint64 // bytes; 0: not known
	Type  elf.SymType
	Bind  elf.SymBind
	From  Table
}

// Demangled is the name as a person writes it: C++ and Rust names in clear, others as they are.
func (s Symbol) Demangled() string { return s.Name }

// Table names one symbol table.
type Table struct {
	File    string // path
	Section string // ".symtab", ".dynsym", ".gnu_debugdata"
}

// DebugData is DWARF as it lies in one file, with the supplementary file (dwz) that it refers to.
type DebugData struct {
	Path string
	Sup  *DebugData // nil: none
}

// Provenance says where symbols and types come from, for the user and for --json.
type Provenance struct {
	Executable    string   `json:"executable"`
	BuildID       string   `json:"build_id,omitempty"`
	Symbols       []string `json:"symbols"`                 // tables in the order they are asked, "path .symtab"
	DebugInfo     string   `json:"debug_info,omitempty"`    // file that holds the DWARF; "": none
	FoundBy       string   `json:"found_by,omitempty"`      // "in the executable", "build-id", "debuglink", "debuginfod cache"
	Supplementary string   `json:"supplementary,omitempty"` // dwz file; "": none
	Warnings      []string `json:"warnings,omitempty"`
}
