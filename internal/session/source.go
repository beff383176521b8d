package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"guestcore/internal/corefile"
	"guestcore/internal/corefile/systemd"
	"guestcore/internal/inferior"
	"guestcore/internal/inferior/core"
	"guestcore/internal/inferior/live"
	"guestcore/internal/qemu"
	"guestcore/internal/qemu/gdbstub"
)

// What a source begins with that is no file: one of systemd-coredump's cores,
// coredump: the newest of QEMU and coredump:PID that of a process, or a
// process that lives.
const (
	kept    = "coredump:"
	running = "pid:"
)

// PID names a process as a source.
func PID(pid int) string { return running + strconv.Itoa(pid) }

// IsPID reports whether a source is named as a process that lives.
func IsPID(name string) bool { return strings.HasPrefix(name, running) }

// source is what a session can be opened on.
type source interface {
	inferior.Process
	// Held reads a mapped file as far as the source itself has it.
	Held(path string) io.ReaderAt
}

// openSource opens what the options name.
func (s *Session) openSource(ctx context.Context) (source, error) {
	if s.opts.Server != nil {
		return s.openRemote(ctx)
	}
	if pid, ok := strings.CutPrefix(s.opts.Core, running); ok {
		return s.openPID(pid)
	}
	p, err := s.openCore(ctx)
	if err != nil {
		return nil, err
	}
	s.what = "core"
	if want, have := p.Truncated(); have < want {
		s.warn("the core is cut short: it has %d bytes, its headers tell of %d", have, want)
	}
	return p, nil
}

// openPID opens a process of this machine.
func (s *Session) openPID(text string) (source, error) {
	pid, err := strconv.ParseUint(text, 10, 31)
	if err != nil || pid == 0 {
		return nil, fmt.Errorf("%s%s: %q is no process id: write %sPID, or ./%s%s for a file of that name", running, text, text, running, running, text)
	}
	p, err := live.Open(int(pid), s.opts.Log)
	if err != nil {
		return nil, err
	}
	s.what, s.exeLink = "process", fmt.Sprintf("/proc/%d/exe", pid)
	s.live = p
	return p, nil
}

// stopLive stops a process that lives, as late as can be: once all is read
// that does not change.
func (s *Session) stopLive() error {
	if s.live == nil || s.opts.NoStop {
		return nil
	}
	if s.Exe != nil {
		for _, name := range qemu.WantedSymbols { // reads the symbol table
			s.Exe.Lookup(name)
		}
	}
	return s.live.Stop()
}

// Resume lets a process run again that was stopped to be read, or the guest
// behind QEMU's gdbstub, and returns how long it was; 0 for a source that
// needed no stopping. What is read from it after that may have changed
// meanwhile. Of a server it is for who connected to it, not for a proxy.
func (s *Session) Resume() (time.Duration, error) {
	if m, ok := s.hypervisor.(*gdbstub.Machine); ok {
		return m.Resume()
	}
	if s.live == nil {
		return 0, nil
	}
	if err := s.live.Resume(); err != nil {
		return 0, fmt.Errorf("process %d was not let go: %w", s.live.PID(), err)
	}
	return s.live.Paused(), nil
}

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
	for _, name := range s.dumpPaths {
		if from, err := os.Stat(name); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s is the dump that is read: give another file name", path)
		}
	}
	return nil
}

func (s *Session) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}
