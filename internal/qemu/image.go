package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// Row is one line of the table that scripts/dump-guest-memory.py prints: a
// range of RAM, and whether it went on where the last one ended.
type Row struct {
	Start, End addr.GPA
	Host       addr.HVA
	Joined     bool
	Count      int // blocks so far
}

// Rows is the FlatView as the script sees it: RAM only, neither a host
// device's nor nonvolatile (QEMU 7f13535656, 3.1), neighbours joined when they
// go on both in guest-physical and in host-virtual space. It knows nothing of
// virtio-mem: that is where a dump differs.
func (vm *VM) Rows() []Row {
	var rows []Row
	for _, r := range vm.view {
		if !r.Region.RAM || r.Region.RAMDevice || r.Region.Nonvolatile {
			continue
		}
		row := Row{Start: r.Start, End: r.End(), Host: r.Host, Count: 1}
		if n := len(rows); n > 0 {
			last := rows[n-1]
			row.Joined = last.End == row.Start && last.Host+addr.HVA(last.End-last.Start) == row.Host
			row.Count = last.Count
			if !row.Joined {
				row.Count++
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Guest is the machine as a dump takes it. The architecture is settled as by
// [VM.Arch].
func (vm *VM) Guest(archName string) (*guest.Machine, error) {
	g, warning, err := vm.Arch(archName)
	if err != nil {
		return nil, err
	}
	memory, err := vm.memory()
	if err != nil {
		return nil, err
	}
	m := &guest.Machine{Arch: g, Image: memory.image, Other: memory.other, Devices: memory.devices, Missing: memory.missing, Notes: memory.notes, Sealed: vm.sealed()}
	if warning != "" {
		m.Warnings = append(m.Warnings, warning)
	}
	if m.CPUs, err = vm.CPUs(); err != nil {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the vCPUs' registers are left out: %v", err))
	}
	m.Warnings = append(m.Warnings, vm.notes...)
	if note, err := vm.vmcoreinfo(); err == nil {
		m.VMCoreInfo = note.bytes
	} else if !errors.Is(err, errNoVMCoreInfo) {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the guest's VMCOREINFO note is left out: %v", err))
	}
	return m, nil
}
