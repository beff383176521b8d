package session

import (
	"errors"
	"fmt"

	"guestcore/internal/dumpfile"
	"guestcore/internal/guest"
	"guestcore/internal/qemu"
)

// dumped is the machine that a dump is of.
type dumped struct{ *dumpfile.File }

// errDump means that QEMU's insides are not seen.
var errDump = errors.New("this is a dump, which has the guest and not QEMU: give the core for what is inside of QEMU")

// openDump opens the dump that the options name.
func (s *Session) openDump() error {
	f, err := dumpfile.OpenParts(s.opts.Dump)
	if err != nil {
		return err
	}
	s.hypervisor, s.what, s.insideless = dumped{f}, "dump", errDump
	if s.dumpPaths = f.Parts; s.dumpPaths == nil {
		s.dumpPaths = []string{f.Path}
	}
	s.note("%s: %s", f.Path, f.Format)
	return nil
}

// Dump is the name and the format, for people, of the dump that was opened;
// both are empty for another source.
func (s *Session) Dump() (path, format string) {
	if d, ok := s.hypervisor.(dumped); ok {
		return d.Path, d.Format
	}
	return "", ""
}

// Rows are the ranges of memory, for the table that a dump prints. Where QEMU
// had them mapped no dump says.
func (d dumped) Rows() []qemu.Row {
	var rows []qemu.Row
	for i, r := range d.Ranges {
		rows = append(rows, qemu.Row{Start: r.Addr, End: r.End(), Count: i + 1})
	}
	return rows
}

// keepPhysBase has the phys_base that a dump has in its header carry over,
// unless that is to be fixed, and says so where it is wrong. QEMU reads the
// kernel's number, which is decimal, as a hexadecimal one (dump/dump.c, 7.2).
func (s *Session) keepPhysBase(m *guest.Machine) {
	d, ok := s.hypervisor.(dumped)
	if !ok || d.PhysBase == nil || m.Kernel == nil || m.Kernel.PhysBase == nil || *d.PhysBase == *m.Kernel.PhysBase {
		return
	}
	right, wrong := *m.Kernel.PhysBase, *d.PhysBase
	if s.opts.Fix {
		m.Notes = append(m.Notes, fmt.Sprintf("phys_base is %#x in the header of %s, which is wrong, and %#x in a kdump file written of it", wrong, d.Path, right))
		return
	}
	m.HeaderPhysBase = d.PhysBase
	m.Warnings = append(m.Warnings, fmt.Sprintf("the header of %s has a wrong phys_base, %#x and not %#x, with which makedumpfile cannot read the file; "+
		"a kdump file written of it has the same unless --fix puts it right", d.Path, wrong, right))
}
