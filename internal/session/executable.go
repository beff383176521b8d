package session

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
	"guestcore/internal/objfile"
)

// executablePath is the path of the program in a process, as the kernel named
// it: that of the mapping the program begins to run in. A program started by
// hand through its loader begins there, so that one called qemu is preferred
// to a loader.
func executablePath(p inferior.Process) string {
	entry, _ := inferior.AuxValue(p, inferior.AT_ENTRY)
	path := ""
	for _, m := range p.Files() {
		if addr.HVA(entry) >= m.Start && addr.HVA(entry) < m.End {
			path = m.Path
		}
	}
	if path != "" && !strings.HasPrefix(filepath.Base(path), "ld") {
		return path
	}
	for _, m := range p.Files() {
		if strings.Contains(filepath.Base(m.Path), "qemu") && m.Offset == 0 {
			return m.Path
		}
	}
	return path
}

// openExe opens QEMU's executable: the one that was named, else the one the
// core names, else any with its build-id. Only a named one must be right; the
// rest can be done without.
func (s *Session) openExe() error {
	want, idErr := s.coreBuildID()
	name := s.opts.Exe
	if name == "" {
		if s.ExePath == "" {
			s.warn("the core does not name its executable: give it with --exe")
			return nil
		}
		name = filepath.Join(s.opts.Sysroot, strings.TrimSuffix(s.ExePath, " (deleted)"))
	}
	f, err := s.openObject(name, want)
	if err != nil && s.opts.Exe != "" {
		return fmt.Errorf("--exe: %w", err)
	}
	if err != nil && idErr == nil {
		if other, findErr := objfile.FindExecutable(want, s.objOptions()); findErr == nil {
			s.opts.Log.Debug("executable found by build-id", "path", other)
			f, err = s.openObject(other, want)
		}
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is not on this machine", name)
		}
		s.warn("QEMU's executable is not used: %v; give the right one with --exe", err)
		return nil
	}
	if idErr != nil {
		s.warn("whether %s is the executable of this core was not checked: %v", f.Path(), idErr)
	}
	s.Exe = f
	return s.findBias()
}

func (s *Session) objOptions() objfile.Options {
	return objfile.Options{DebugDirs: s.opts.DebugDirs, Sysroot: s.opts.Sysroot, Log: s.opts.Log}
}

// openObject opens an executable and compares its build-id with the core's,
// nil if that is not known.
func (s *Session) openObject(path string, want objfile.BuildID) (*objfile.File, error) {
	f, err := objfile.Open(path, s.objOptions())
	if err != nil {
		return nil, err
	}
	if have := f.BuildID(); want != nil && have.String() != want.String() {
		f.Close()
		return nil, fmt.Errorf("%s has build-id %v, the core is of %s with build-id %v", path, have, s.ExePath, want)
	}
	return f, nil
}

// image reads the executable as the process had it mapped, from its ELF
// header on.
func (s *Session) image() (io.ReaderAt, addr.HVA, error) {
	for _, m := range s.Process.Files() {
		if m.Path == s.ExePath && m.Offset == 0 {
			return io.NewSectionReader(s.Process, int64(m.Start), int64(m.End-m.Start)), m.Start, nil
		}
	}
	return nil, 0, fmt.Errorf("the core does not say where %s was mapped", s.ExePath)
}

// coreBuildID is the build-id of the executable, from its first page in the
// core. The kernel keeps that page (coredump_filter bit 4, on by default).
func (s *Session) coreBuildID() (objfile.BuildID, error) {
	var held io.ReaderAt
	for _, m := range s.Process.Files() {
		if m.Path == s.ExePath && m.Offset == 0 {
			held = heldBytes{s.Process, m}
		}
	}
	if held == nil {
		return nil, fmt.Errorf("the core does not say where %s was mapped", s.ExePath)
	}
	return objfile.BuildIDFrom(held)
}

// heldBytes reads a file mapping by file offset, and of it only what the
// process's own source stores: not the file, which is what is to be checked.
type heldBytes struct {
	p inferior.Process
	m inferior.FileMapping
}

func (h heldBytes) ReadAt(b []byte, off int64) (int, error) {
	a := h.m.Start + addr.HVA(off)
	parts := h.p.Mappings().Clip(a, uint64(len(b)))
	if off < 0 || len(parts) == 0 || parts[0].Addr != a || !parts[0].Kind.Present() {
		return 0, io.EOF
	}
	n, err := h.p.ReadAt(b[:min(len(b), int(parts[0].Size))], int64(a))
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// findBias finds the distance between the executable's addresses and the
// process's: from where its first page was mapped or, if the core does not
// say, from the auxiliary vector.
func (s *Session) findBias() error {
	if _, start, err := s.image(); err == nil {
		for _, seg := range s.Exe.Segments() {
			if seg.Type == elf.PT_LOAD && seg.Off == 0 {
				s.bias = start - addr.HVA(seg.Vaddr)
				return nil
			}
		}
	}
	phdr, _ := inferior.AuxValue(s.Process, inferior.AT_PHDR)
	entry, _ := inferior.AuxValue(s.Process, inferior.AT_ENTRY)
	bias, err := s.Exe.LoadBias(phdr, entry)
	s.bias = addr.HVA(bias)
	return err
}
