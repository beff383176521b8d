// Package objfile reads an ELF executable or shared object and the debug information that belongs to it, found as gdb finds it:
// symbols by name or address, the bytes of its segments, and the raw DWARF sections.
//
// It is not a reader of core files (package inferior/core), it does not interpret DWARF (package ctype, above), and it knows
// nothing of processes: all addresses are link-time addresses, LoadBias gives the distance to a running image.
//
// Files are read with pread, piece by piece, never mapped: a file that shrinks under the reader is an error, not a signal.
package objfile

import (
	"debug/elf"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

var (
	// ErrNoSymbol means that no symbol table of the file has the name.
	ErrNoSymbol = errors.New("no such symbol")
	// ErrNoDebugInfo means that neither the file nor a separate file has DWARF for it.
	ErrNoDebugInfo = errors.New("no debug information")
	// ErrNoBuildID means that an image carries no GNU build-id.
	ErrNoBuildID = errors.New("no build-id")
	// ErrNoExecutable means that no executable with a build-id was found.
	ErrNoExecutable = errors.New("no executable found")
	// ErrNotInFile means that the file does not hold an address: it is .bss, or no part of the program.
	ErrNotInFile = errors.New("not in the file")
)

// Options says where to look for what belongs to a file. The zero value looks where gdb does.
type Options struct {
	DebugDirs []string     // roots of separate debug files; nil: /usr/lib/debug
	Sysroot   string       // put before absolute paths of the target system; "": none
	Cache     string       // debuginfod's cache; "": $DEBUGINFOD_CACHE_PATH, else debuginfod_client in the user's cache directory
	Log       *slog.Logger // one debug line for each decision; nil: silent
}

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	if o.DebugDirs == nil {
		o.DebugDirs = []string{"/usr/lib/debug"}
	}
	if o.Cache == "" {
		o.Cache = os.Getenv("DEBUGINFOD_CACHE_PATH")
	}
	if o.Cache == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			o.Cache = filepath.Join(dir, "debuginfod_client")
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// File is an open ELF file. Its methods may be called from several goroutines.
type File struct {
	opts Options
	main *image

	mu       sync.Mutex // guards all below and the tables of the images
	searched bool       // for the debug file
	debug    *debugFile // nil: none, or not searched
	mini     *image     // the ELF inside .gnu_debugdata; nil: none, or not asked
	miniDone bool
	data     *DebugData
	warnings []string
}

// Open opens an ELF executable or shared object and reads its headers. Everything else is read when it is asked for.
func Open(path string, opts Options) (*File, error) {
	img, err := openImage(path)
	if err != nil {
		return nil, fmt.Errorf("opening executable: %w", err)
	}
	if t := img.elf.Type; t != elf.ET_EXEC && t != elf.ET_DYN {
		img.close()
		return nil, fmt.Errorf("opening executable: %s: its ELF type is %v; name the program that the process ran", path, t)
	}
	f := &File{opts: opts.withDefaults(), main: img}
	f.opts.Log.Debug("opened executable", "path", path, "build-id", img.id.String())
	return f, nil
}

// Close closes the file and the debug files found for it. It may be called twice.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.main.close()
	if f.debug != nil && f.debug.img != f.main {
		err = errors.Join(err, f.debug.img.close())
	}
	if f.debug != nil {
		err = errors.Join(err, f.debug.sup.close())
	}
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Path is the path that the file was opened by.
func (f *File) Path() string { return f.main.path }

// BuildID is the file's GNU build-id, nil if it has none.
func (f *File) BuildID() BuildID { return slices.Clone(f.main.id) }

// Header is the ELF header: Type, Machine, ByteOrder, Entry.
func (f *File) Header() elf.FileHeader { return f.main.elf.FileHeader }

// Segments are the program headers.
func (f *File) Segments() []elf.ProgHeader {
	progs := make([]elf.ProgHeader, len(f.main.elf.Progs))
	for i, p := range f.main.elf.Progs {
		progs[i] = p.ProgHeader
	}
	return progs
}

// Section finds a section's header by its name: where .data or .bss lies.
func (f *File) Section(name string) (elf.SectionHeader, bool) {
	s := f.main.elf.Section(name)
	if s == nil {
		return elf.SectionHeader{}, false
	}
	return s.SectionHeader, true
}

// PhdrVaddr is the link-time address of the program headers, which AT_PHDR tells of a process.
func (f *File) PhdrVaddr() (uint64, bool) { return f.main.phdrVaddr() }

// LoadBias is what to add to a link-time address to have the address in the process, from the auxiliary vector's AT_PHDR and
// AT_ENTRY (0: not known). The two must agree, and a file that is not position-independent must have bias 0.
func (f *File) LoadBias(atPhdr, atEntry uint64) (uint64, error) {
	return f.main.loadBias(atPhdr, atEntry)
}

// ReadVaddr reads the file's bytes at a link-time address, as io.ReaderAt does. Only what the file itself holds is read: .bss and
// unmapped addresses give a short read with an error that wraps ErrNotInFile.
func (f *File) ReadVaddr(p []byte, vaddr uint64) (int, error) { return f.main.readVaddr(p, vaddr) }

// Warnings are the refusals so far: a debug file with a wrong build-id or checksum, a supplementary file that is missing.
func (f *File) Warnings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.warnings)
}

// warn keeps a refusal for the user. The caller holds f.mu.
func (f *File) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if !slices.Contains(f.warnings, w) {
		f.warnings = append(f.warnings, w)
		f.opts.Log.Warn(w)
	}
}
