package session

import (
	"context"
	"slices"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/guest/windows"
	"guestcore/internal/inferior/live"
	"guestcore/internal/progress"
)

// identified is what packages linux and windows found out of a machine.
type identified struct {
	note     []byte
	kernel   *guest.Kernel
	warnings []string
}

// sought is a machine, by its architecture, and how its kernel was looked for.
type sought struct {
	arch string
	how  dump.Scan
}

// Guest is the machine as a dump takes it, with what is known of its kernel.
// The architecture is settled as by qemu's VM.Arch. Guest memory is scanned, the
// first time, as scan says; show, nil for nobody, tells how far that is.
func (s *Session) Guest(ctx context.Context, archName string, scan dump.Scan, show progress.Renderer) (*guest.Machine, error) {
	m, err := s.Machine(archName)
	if err != nil {
		return nil, err
	}
	s.kernelMu.Lock()
	defer s.kernelMu.Unlock()
	key := sought{m.Arch.Name, scan}
	known, ok := s.kernels[key]
	if !ok {
		before := len(m.Warnings)
		if err := identify(ctx, m, scan, show); err != nil {
			return nil, err
		}
		known = identified{m.VMCoreInfo, m.Kernel, slices.Clone(m.Warnings[before:])}
		m.Warnings = m.Warnings[:before]
		s.kernels[key] = known
	}
	m.VMCoreInfo, m.Kernel = known.note, known.kernel
	m.Warnings = append(m.Warnings, known.warnings...)
	s.keepPhysBase(m)
	return m, nil
}

// awaited is why the memory of a process that still has to come is sealed.
const awaited = "QEMU still waits for guest memory, as where a migration arrives in postcopy: what has not come yet reads as zeros; " +
	"wait until the migration has ended"

// Machine is the machine as QEMU has it, with nothing said of its kernel but
// what was handed to QEMU. The architecture is settled as by qemu's VM.Arch.
func (s *Session) Machine(archName string) (*guest.Machine, error) {
	if s.hypervisor != nil {
		return s.hypervisor.Guest(archName)
	}
	vm, err := s.VM()
	if err != nil {
		return nil, err
	}
	m, err := vm.Guest(archName)
	if err != nil {
		return nil, err
	}
	if p, ok := s.Process.(*live.Process); ok && p.Awaits() && m.Sealed == "" {
		m.Sealed = awaited
	}
	return m, nil
}

// identify finds out what kernel a machine runs. That of Windows ends the search
// for Linux's, which would read all memory and find nothing.
func identify(ctx context.Context, m *guest.Machine, scan dump.Scan, show progress.Renderer) error {
	if m.Sealed != "" { // there is nothing to find in it
		m.Kernel = &guest.Kernel{}
		return nil
	}
	if m.VMCoreInfo == nil && scan != dump.ScanAlways && windows.Recognize(m) {
		return nil
	}
	var p linux.Progress
	if scan != dump.ScanNever {
		meter := progress.Meter{What: "searching guest memory for VMCOREINFO"}
		if show != nil {
			defer progress.Show(&meter, show)()
		}
		p = &meter
	}
	if err := linux.Identify(ctx, m, p); err != nil {
		return err
	}
	windows.Name(m)
	return nil
}
