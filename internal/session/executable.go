package session

import (
	"debug/elf"
	"errors"
	"fmt"
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
			s.warn("the %s does not name its executable: give it with --exe", s.what)
			return nil
		}
		name = filepath.Join(s.opts.Sysroot, strings.TrimSuffix(s.ExePath, " (deleted)"))
	}
	f, err := s.openObject(name, want)
	if err != nil && s.opts.Exe != "" {
		return fmt.Errorf("--exe: %w", err)
	}
	if err != nil && s.exeLink != "" {
		f, err = s.openObject(s.exeLink, want)
	}
	if err != nil && s.fetchExe != nil {
		var copied string
		if copied, err = s.fetchedExe(); err == nil {
			f, err = s.openObject(copied, want)
		}
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
		s.warn("whether %s is the executable of this %s was not checked: %v", f.Path(), s.what, idErr)
	}
	s.Exe = f
	if err := s.findBias(); err != nil {
		if s.opts.Exe != "" {
			return fmt.Errorf("--exe: %w", err)
		}
		s.warn("QEMU's executable is not used: %v", err)
		s.Exe = nil
		return f.Close()
	}
	return nil
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
		return nil, fmt.Errorf("%s has build-id %v, the %s is of %s with build-id %v", path, have, s.what, s.ExePath, want)
	}
	return f, nil
}

// coreBuildID is the build-id of the executable, from its first page in the
// core. The kernel keeps that page (coredump_filter bit 4, on by default).
func (s *Session) coreBuildID() (objfile.BuildID, error) {
	if _, ok := s.imageStart(); !ok {
		return nil, fmt.Errorf("the %s does not say where it was mapped", s.what)
	}
	return objfile.BuildIDFrom(s.held(s.ExePath))
}

// imageStart is where the executable's ELF header was mapped.
func (s *Session) imageStart() (addr.HVA, bool) {
	for _, m := range s.Process.Files() {
		if m.Path == s.ExePath && m.Offset == 0 {
			return m.Start, true
		}
	}
	return 0, false
}

// findBias finds the distance between the executable's addresses and the
// process's: from where its first page was mapped or, if the core does not
// say, from the auxiliary vector.
func (s *Session) findBias() error {
	if start, ok := s.imageStart(); ok {
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
