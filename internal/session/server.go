package session

import (
	"context"
	"fmt"
	"os"

	"guestcore/internal/guest"
	"guestcore/internal/inferior/live"
	"guestcore/internal/inferior/remote"
	"guestcore/internal/qemu"
	"guestcore/internal/qemu/gdbstub"
)

// openRemote opens the process of a gdbserver: directly if it is one of this
// machine, which the server has stopped, else through the server.
func (s *Session) openRemote(ctx context.Context) (source, error) {
	p, err := remote.Open(ctx, s.opts.Server, s.opts.Log)
	if err != nil {
		return nil, err
	}
	s.what = "process"
	if p.IsHere() {
		here, err := live.Open(p.PID(), s.opts.Log)
		if err == nil {
			s.exeLink = fmt.Sprintf("/proc/%d/exe", p.PID())
			s.note("the gdbserver's process %d is on this machine and read directly", p.PID())
			return here, nil
		}
		s.opts.Log.Debug("the process is read through the gdbserver", "reason", err)
	}
	s.note("process %d is read through the gdbserver", p.PID())
	s.fetchExe = p.Executable
	return p, nil
}

// StaysStopped reports whether the source is a process that a gdbserver has
// stopped, and keeps so whoever leaves it without a word.
func (s *Session) StaysStopped() bool { return s.opts.Server != nil && s.hypervisor == nil }

// fetchedExe is the path of a copy of the executable that the source itself
// can give, which goes away with the session.
func (s *Session) fetchedExe() (string, error) {
	f, err := os.CreateTemp("", "guestcore-exe-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	s.temporary = f
	if err := s.fetchExe(f); err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), nil
}

// hypervisor is a virtual machine that is told of whole, with no process to
// look into: by its own QEMU, or by a dump.
type hypervisor interface {
	Guest(archName string) (*guest.Machine, error)
	Rows() []qemu.Row
	Close() error
}

// openHypervisor opens the machine behind QEMU's own gdbstub, if the server is
// one.
func (s *Session) openHypervisor(ctx context.Context) error {
	if s.opts.Server == nil || !gdbstub.Is(ctx, s.opts.Server) {
		return nil
	}
	m, err := gdbstub.Open(ctx, s.opts.Server)
	if err != nil {
		return err
	}
	s.hypervisor, s.what, s.insideless = m, "guest", errHypervisor
	return nil
}

// Rows is the table of guest memory that the script prints.
func (s *Session) Rows() ([]qemu.Row, error) {
	if s.hypervisor != nil {
		return s.hypervisor.Rows(), nil
	}
	vm, err := s.VM()
	if err != nil {
		return nil, err
	}
	return vm.Rows(), nil
}

// errHypervisor means that QEMU's insides are not seen.
var errHypervisor = fmt.Errorf("this is QEMU's own gdbstub, which shows the guest and not QEMU: ask QEMU's monitor, behind the same command")
