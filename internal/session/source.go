package session

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"guestcore/internal/corefile"
	"guestcore/internal/corefile/systemd"
	"guestcore/internal/inferior/core"
	"guestcore/internal/qemu"
)

// kept is what a source begins with that is one of systemd-coredump's cores:
// coredump: is the newest of QEMU, coredump:PID that of a process.
const kept = "coredump:"

// openCore opens the core, decompressed if need be.
func (s *Session) openCore(ctx context.Context) (*core.Process, error) {
	path, err := s.corePath()
	if err != nil {
		return nil, err
	}
	o := s.opts.Spool
	o.Check = core.CheckMagic
	f, err := corefile.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	p, err := core.New(f.File, core.Options{OpenFile: s.openMapped, Log: s.opts.Log})
	if err != nil {
		f.Close()
		return nil, err
	}
	s.corefile = path
	if f.Spool != nil {
		s.note("%s: %v", path, f.Spool)
		if f.Spool.Cut != nil {
			s.warn("%s: the %s data end at offset %#x, inside the core", path, f.Spool.Format, f.Spool.Cut.Off)
		}
	}
	return p, nil
}

// corePath is the path of the core file.
func (s *Session) corePath() (string, error) {
	pid, ok := strings.CutPrefix(s.opts.Core, kept)
	if !ok {
		return s.opts.Core, nil
	}
	dir := s.opts.CoredumpDir
	if dir == "" {
		dir = systemd.Dir
	}
	var c systemd.Core
	var err error
	if pid == "" {
		c, err = systemd.Newest(dir, "QEMU", func(c systemd.Core) bool { return qemu.IsProgram(c.Exe) || qemu.IsProgram(c.Comm) })
	} else if n, perr := strconv.ParseUint(pid, 10, 31); perr != nil {
		return "", fmt.Errorf("%s%s: %q is no process id: write %sPID, %s for QEMU's newest core, or ./%s%s for a file of that name",
			kept, pid, pid, kept, kept, kept, pid)
	} else {
		c, err = systemd.ByPID(dir, int(n))
	}
	if err != nil {
		return "", err
	}
	s.note("%s is of %v: %s", s.opts.Core, c, c.Path)
	return c.Path, nil
}

// CheckDestination refuses to write over the core. A compressed one is not
// among the files that the guest's memory is in, so nothing else would.
func (s *Session) CheckDestination(path string) error {
	to, err := os.Stat(path)
	if err != nil {
		return nil // nothing to write over
	}
	if from, err := os.Stat(s.corefile); err == nil && os.SameFile(from, to) {
		return fmt.Errorf("%s is the core itself: give another file name", path)
	}
	return nil
}

func (s *Session) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}
