package session

import (
	"context"
	"slices"

	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/progress"
)

// identified is what package linux found out of a machine.
type identified struct {
	note     []byte
	kernel   *guest.Kernel
	warnings []string
}

// Guest is the machine as a dump takes it, with what is known of its kernel.
// The architecture is settled as by qemu's VM.Arch. Guest memory is scanned, the
// first time, if nothing handed over says what kernel runs; show, nil for
// nobody, tells how far that is.
func (s *Session) Guest(ctx context.Context, archName string, show progress.Renderer) (*guest.Machine, error) {
	m, err := s.machine(archName)
	if err != nil {
		return nil, err
	}
	s.kernelMu.Lock()
	defer s.kernelMu.Unlock()
	known, ok := s.kernels[m.Arch.Name]
	if !ok {
		before := len(m.Warnings)
		if err := identify(ctx, m, show); err != nil {
			return nil, err
		}
		known = identified{m.VMCoreInfo, m.Kernel, slices.Clone(m.Warnings[before:])}
		m.Warnings = m.Warnings[:before]
		s.kernels[m.Arch.Name] = known
	}
	m.VMCoreInfo, m.Kernel = known.note, known.kernel
	m.Warnings = append(m.Warnings, known.warnings...)
	return m, nil
}

// machine is the machine as QEMU has it.
func (s *Session) machine(archName string) (*guest.Machine, error) {
	if s.hypervisor != nil {
		return s.hypervisor.Guest(archName)
	}
	vm, err := s.VM()
	if err != nil {
		return nil, err
	}
	return vm.Guest(archName)
}

// identify finds out what kernel a machine runs.
func identify(ctx context.Context, m *guest.Machine, show progress.Renderer) error {
	if m.Sealed != "" { // there is nothing to find in it
		m.Kernel = &guest.Kernel{}
		return nil
	}
	meter := progress.Meter{What: "searching guest memory for VMCOREINFO"}
	if show != nil {
		defer progress.Show(&meter, show)()
	}
	return linux.Identify(ctx, m, &meter)
}
