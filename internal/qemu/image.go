package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Row is one line of the table that scripts/dump-guest-memory.py prints: a
// range of RAM, and whether it went on where the last one ended.
type Row struct {
	Start, End addr.GPA
	Host       addr.HVA
	Joined     bool
	ROM        bool // RAM that the guest cannot write
	Count      int  // blocks so far
}

// Rows walks the FlatView as the script does: RAM only, neither a host
// device's nor nonvolatile, neighbours joined when they go on both in
// guest-physical and in host-virtual space.
func (vm *VM) Rows() ([]Row, error) {
	var rows []Row
	for _, r := range vm.view {
		if !r.Region.Dumped() {
			continue
		}
		host, _, err := vm.HostAddr(r)
		if err != nil {
			return nil, fmt.Errorf("range at %#x (%s): %w", uint64(r.Start), r.Region.Name, err)
		}
		row := Row{Start: r.Start, End: r.End(), Host: host, ROM: r.ReadOnly || r.Region.ReadOnly, Count: 1}
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
	return rows, nil
}

// HostAddr is where the process has a range mapped, and in which block. The
// regions of a FlatView are not aliases any more, but the script follows those
// too, and so do we.
func (vm *VM) HostAddr(r FlatRange) (addr.HVA, *RAMBlock, error) {
	reg, off := r.Region, r.OffsetInRegion
	if !reg.RAM && reg.Alias == 0 {
		return 0, nil, errors.New("it is not RAM")
	}
	for depth := 0; reg.Alias != 0; depth++ {
		if depth == maxInherit {
			return 0, nil, errors.New("its aliases go round in a circle")
		}
		off += reg.AliasOffset
		next := vm.readRegion(vm.space.At(reg.Alias, "MemoryRegion"))
		if next.err != nil {
			return 0, nil, fmt.Errorf("alias of %q: %w", reg.Name, next.err)
		}
		reg = next.Region
	}
	b, err := vm.readBlock(reg.Block)
	if err != nil {
		return 0, nil, err
	}
	if off+r.Size < off || off+r.Size > b.UsedLength {
		return 0, nil, fmt.Errorf("it passes the end of RAM block %q", b.Name)
	}
	return b.Host + addr.HVA(off), b, nil
}

// Guest is the machine as a dump takes it. The architecture is settled as by
// [VM.Arch].
func (vm *VM) Guest(archName string) (*guest.Machine, error) {
	g, warning, err := vm.Arch(archName)
	if err != nil {
		return nil, err
	}
	image, err := vm.image()
	if err != nil {
		return nil, err
	}
	m := &guest.Machine{Arch: g, Image: image}
	if warning != "" {
		m.Warnings = append(m.Warnings, warning)
	}
	if m.CPUs, err = vm.CPUs(); err != nil {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the vCPUs' registers are left out: %v", err))
	}
	m.Other, m.Missing = vm.other(), vm.missing()
	m.Warnings = append(m.Warnings, vm.notes...)
	if note, err := vm.vmcoreinfo(); err == nil {
		m.VMCoreInfo = note.bytes
	} else if !errors.Is(err, errNoVMCoreInfo) {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the guest's VMCOREINFO note is left out: %v", err))
	}
	return m, nil
}

// image is guest memory.
func (vm *VM) image() (*guest.Image, error) {
	rows, err := vm.Rows()
	if err != nil {
		return nil, err
	}
	im := &guest.Image{Files: vm.files}
	bus := &extent.Map[addr.GPA, addr.HVA]{}
	for _, r := range rows {
		size := uint64(r.End - r.Start)
		if r.Joined {
			last := &im.Ranges[len(im.Ranges)-1]
			last.Size += size
			last.ROM = last.ROM && r.ROM
		} else {
			im.Ranges = append(im.Ranges, guest.Range{Addr: r.Start, Size: size, Host: r.Host, ROM: r.ROM})
		}
	}
	for _, r := range im.Ranges {
		if err := bus.Insert(extent.Extent[addr.GPA, addr.HVA]{Addr: r.Addr, Size: r.Size, Off: r.Host}); err != nil {
			return nil, fmt.Errorf("guest memory: %w", err)
		}
	}
	im.Map = extent.Compose(bus, vm.host)
	return im, nil
}

// other lists the memory that a dump leaves out and a read of the guest does
// not: what address_space_is_io (system/physmem.c) takes for memory. Flash is
// assumed to be in the mode for reading, as it is but for moments.
func (vm *VM) other() []guest.Range {
	var out []guest.Range
	for _, r := range vm.view {
		if !r.Region.Dumped() && (r.Region.RAM || r.Region.ROMDevice) {
			out = append(out, guest.Range{Addr: r.Start, Size: r.Size, ROM: r.ReadOnly || r.Region.ReadOnly})
		}
	}
	return out
}

// missing lists what the source lacks of guest memory.
func (vm *VM) missing() []guest.Missing {
	var out []guest.Missing
	for _, r := range vm.view {
		if !r.Region.Dumped() {
			continue
		}
		host, b, err := vm.HostAddr(r)
		if err != nil {
			continue // Rows has reported it
		}
		for _, l := range b.lacks {
			start, end := max(l.start, host), min(l.end, host+addr.HVA(r.Size))
			if start >= end {
				continue
			}
			m := guest.Missing{
				Addr:   r.Start + addr.GPA(start-host),
				Size:   uint64(end - start),
				Reason: fmt.Sprintf("RAM block %q: %s", b.Name, l.why),
			}
			if n := len(out); n > 0 && out[n-1].Reason == m.Reason && out[n-1].Addr+addr.GPA(out[n-1].Size) == m.Addr {
				out[n-1].Size += m.Size
				continue
			}
			out = append(out, m)
		}
	}
	return out
}
