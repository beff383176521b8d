// Package session puts the parts together: from a core file, or the id of a
// process, to the process, from there to QEMU's executable and debug information, and from both to
// the virtual machine. It is the one place that knows them all.
//
// It neither prints nor parses commands: packages cli and monitor do, above.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/corefile"
	"guestcore/internal/inferior"
	"guestcore/internal/inferior/live"
	"guestcore/internal/objfile"
	"guestcore/internal/qemu"
	"guestcore/internal/rsp/client"
)

// Options say what to open. The zero value of each field but Core is its
// default.
type Options struct {
	Core      string            // a file, plain or compressed, coredump:[PID], or pid:PID for a process that lives
	NoStop    bool              // leaves such a process running
	Exe       string            // QEMU's executable; "": the one the core names
	DebugDirs []string          // roots of separate debug files; nil: /usr/lib/debug
	Sysroot   string            // put before the paths the core names
	RAM       map[string]string // files that hold RAM blocks, by the block's name
	Layout    string            // a file with a layout of QEMU's structures, as "guestcore layout" prints it
	Spool     corefile.Options  // of a compressed core
	// CoredumpDir is the folder of systemd-coredump's cores; "": its own.
	CoredumpDir string
	// Dump is a dump of a guest to take instead of Core: a file, or the parts
	// of one that makedumpfile has split.
	Dump []string
	// Fix has what is known to be wrong in the dump put right.
	Fix bool
	// Server is a gdbserver, or QEMU's own gdbstub, to take instead of Core:
	// the process, or the guest, that it shows. It stays the caller's.
	Server *client.Client
	Log    *slog.Logger // nil: silent
}

// Session is an open source. Its methods may be called from several
// goroutines.
type Session struct {
	Process inferior.Process
	// Exe is QEMU's executable, nil if it is not at hand; ExePath is where
	// the process had it from.
	Exe     *objfile.File
	ExePath string
	// Warnings say what could not be used, for the user.
	Warnings []string
	// Notes say which core was taken and what was done to read it.
	Notes []string

	opts      Options
	what      string                        // the source is: "core", "process"
	exeLink   string                        // to the executable, whatever became of its name; "": there is none
	live      *live.Process                 // the source, if it is a process that lives
	corefile  string                        // path of the core
	dumpPaths []string                      // of the dump
	held      func(path string) io.ReaderAt // a mapped file, as far as the core has it
	fetchExe  func(io.Writer) error         // copies the executable; nil: the source has none to give
	bias      addr.HVA

	hypervisor hypervisor // the source, if it is QEMU's own gdbstub, or a dump
	insideless error      // says what has the guest and not QEMU, if there is a hypervisor
	temporary  *os.File   // nil: there is none
	ram        map[string]*os.File
	layout     *qemu.LayoutFile // nil: none was given

	mu      sync.Mutex
	symbols map[string]addr.HVA
	vm      *qemu.VM
	vmErr   error

	kernelMu sync.Mutex // not mu: a scan takes its time
	kernels  map[sought]identified
}

// Open opens a core file and the executable that belongs to it. QEMU's guest
// is looked for later, by [Session.VM]. ctx ends a decompression of the core.
func Open(ctx context.Context, o Options) (*Session, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{opts: o, symbols: map[string]addr.HVA{}, ram: map[string]*os.File{}, kernels: map[sought]identified{}}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	if err := s.readLayout(); err != nil {
		return err
	}
	if len(s.opts.Dump) > 0 {
		return s.openDump()
	}
	if err := s.openHypervisor(ctx); err != nil || s.hypervisor != nil {
		return err
	}
	if err := s.openNamed(); err != nil {
		return err
	}
	p, err := s.openSource(ctx)
	if err != nil {
		return err
	}
	s.Process, s.held = p, p.Held
	s.ExePath = executablePath(p)
	if err := s.openExe(); err != nil {
		return err
	}
	return s.stopLive()
}

// openNamed opens the files of RAM blocks and looks for the executable, before
// the core is opened: to decompress one takes its time.
func (s *Session) openNamed() error {
	for block, path := range s.opts.RAM {
		f, err := openRegular(path)
		if err != nil {
			return fmt.Errorf("--ram %s: %w", block, err)
		}
		s.ram[block] = f
	}
	if s.opts.Exe != "" {
		if _, err := os.Stat(s.opts.Exe); err != nil {
			return fmt.Errorf("--exe: %w", err)
		}
	}
	return nil
}

func (s *Session) readLayout() error {
	if s.opts.Layout == "" {
		return nil
	}
	f, err := openRegular(s.opts.Layout)
	if err != nil {
		return fmt.Errorf("--layout: %w", err)
	}
	defer f.Close()
	if s.layout, err = qemu.ReadLayoutFile(f, s.opts.Layout); err != nil {
		return fmt.Errorf("--layout: %w", err)
	}
	return nil
}

// What is the kind of the source: "core" or "process".
func (s *Session) What() string { return s.what }

// Close closes all that the session opened. It may be called twice.
func (s *Session) Close() error {
	var errs []error
	if s.Exe != nil {
		errs = append(errs, s.Exe.Close())
	}
	for name, f := range s.ram {
		errs = append(errs, f.Close())
		delete(s.ram, name)
	}
	if s.Process != nil {
		errs = append(errs, s.Process.Close())
	}
	if s.hypervisor != nil {
		errs = append(errs, s.hypervisor.Close())
		s.hypervisor = nil
	}
	if s.temporary != nil {
		errs = append(errs, s.temporary.Close())
		s.temporary = nil
	}
	return errors.Join(errs...)
}

func (s *Session) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	s.Warnings = append(s.Warnings, w)
	s.opts.Log.Debug("warning", "text", w)
}

// VM is the virtual machine. It is looked for at the first call, and again
// when that failed and gdb has told of symbols since.
func (s *Session) VM() (*qemu.VM, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hypervisor != nil {
		return nil, s.insideless
	}
	if s.vm == nil && s.vmErr == nil {
		s.vm, s.vmErr = qemu.Open(qemu.Source{
			Process: s.Process,
			Live:    s.what != "core",
			Exe:     s.Exe,
			Bias:    s.bias,
			ExePath: s.ExePath,
			Symbols: s.symbols,
			RAM:     s.ram,
			Layout:  s.layout,
			Log:     s.opts.Log,
		})
	}
	return s.vm, s.vmErr
}

// CheckQEMU returns an error if the process can be told to be no QEMU without
// looking for the guest: what must be fast when a core is only served.
func (s *Session) CheckQEMU() error {
	if strings.Contains(filepath.Base(s.ExePath), "qemu") {
		return nil
	}
	if s.exeNamesGuest() {
		return nil
	}
	_, err := s.VM()
	return err
}

// exeNamesGuest reports whether the executable has the one symbol that matters.
func (s *Session) exeNamesGuest() bool {
	if s.Exe == nil {
		return false
	}
	_, err := s.Exe.Lookup(qemu.WantedSymbols[0])
	return err == nil
}

// WantSymbols lists the symbols that gdb is asked for: none if the executable
// has the one that matters.
func (s *Session) WantSymbols() []string {
	if s.exeNamesGuest() {
		return nil
	}
	return qemu.WantedSymbols
}

// SymbolFound takes the address of a symbol in the process from gdb.
func (s *Session) SymbolFound(name string, a addr.HVA) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.symbols[name] != a {
		s.symbols[name] = a
		if s.vm == nil {
			s.vmErr = nil
		}
	}
}

// openMapped opens a file the process had mapped, if it is still the same
// build: a build-id that the core holds must be the file's. held reads the
// file as far as the core holds it.
func (s *Session) openMapped(path string, held io.ReaderAt) (*os.File, error) {
	name := filepath.Join(s.opts.Sysroot, path)
	if path == s.ExePath && s.Exe != nil {
		name = s.Exe.Path()
	}
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	want, err := objfile.BuildIDFrom(held)
	if err != nil { // no ELF file, or one without a build-id: nothing to compare
		return f, nil
	}
	have, err := objfile.BuildIDFrom(f)
	if err != nil || have.String() != want.String() {
		f.Close()
		return nil, fmt.Errorf("%s: its build-id is %v, the %s's is %v: it was replaced since", name, have, s.what, want)
	}
	return f, nil
}

// openRegular opens a regular file and nothing else: to open a device may do
// something, a FIFO would wait for a writer.
func openRegular(name string) (*os.File, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	return os.Open(name)
}
