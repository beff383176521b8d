package session

import (
	"context"

	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/progress"
)

// Guest is the machine as a dump takes it, with what is known of its kernel.
// The architecture is settled as by qemu's VM.Arch. Guest memory is scanned, the
// first time, if nothing handed over says what kernel runs; show, nil for
// nobody, tells how far that is. The caller does not change the machine.
func (s *Session) Guest(ctx context.Context, archName string, show progress.Renderer) (*guest.Machine, error) {
	find := func(archName string) (*guest.Machine, error) { return s.hypervisor.Guest(archName) }
	if s.hypervisor == nil {
		vm, err := s.VM()
		if err != nil {
			return nil, err
		}
		find = vm.Guest
	}
	s.guestMu.Lock()
	defer s.guestMu.Unlock()
	if m := s.guests[archName]; m != nil {
		return m, nil
	}
	m, err := find(archName)
	if err != nil {
		return nil, err
	}
	if m.Sealed != "" { // there is nothing to find in it
		m.Kernel = &guest.Kernel{}
		return m, nil
	}
	meter := progress.Meter{What: "searching guest memory for VMCOREINFO"}
	if show != nil {
		defer progress.Show(&meter, show)()
	}
	if err := linux.Identify(ctx, m, &meter); err != nil {
		return nil, err
	}
	s.guests[archName] = m
	return m, nil
}
