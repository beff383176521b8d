package arch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// PPC64Paging is what decides how a 64-bit Power processor translates the
// addresses of an operating system and its programs with radix page tables
// (Power ISA 3.0, book III, 6.7.7 on). A second stage, that of a hypervisor in
// the guest, is not looked at.
type PPC64Paging struct {
	// ProcessTable is the second doubleword of the partition table's entry:
	// where the process table is, and how large.
	ProcessTable uint64
	// PartitionTable is PTCR, which leads to that entry; 0 if a hypervisor,
	// which has it, is not part of the guest.
	PartitionTable uint64
	PID            uint64 // of the program
	Real           bool   // nothing is translated
}

// Paging is how the processor translates addresses, nil if that is not known
// to be by radix tables.
func (s *PPC64) Paging() Paging {
	const dataRelocate = 1 << 4
	if s.ProcessTable&radixHost == 0 && s.PartitionTable == 0 {
		return nil
	}
	return PPC64Paging{s.ProcessTable, s.PartitionTable, s.PID, s.MSR&dataRelocate == 0}
}

// Bits of entries.
const (
	radixHost  = 1 << 63 // of both halves of the partition table's: radix, not hash
	radixValid = 1 << 63
	radixLeaf  = 1 << 62

	powerAddress = 1<<60 - 1 // bits of a real address
	radixTable   = powerAddress &^ 0xff
	radixSize    = 0x1f // bits that index the next table
	radixPage    = 1<<57 - 1<<12
)

// Translate finds the page that holds an effective address, see [Paging].
func (p PPC64Paging) Translate(mem io.ReaderAt, va uint64) (Page, error) {
	if p.Real {
		page := identity(va)
		page.Phys &= powerAddress
		return page, nil
	}
	const quadrant, upper = 3 << 62, 3 << 62
	pid := p.PID
	switch va & quadrant {
	case upper: // the operating system's
		pid = 0
	case 0:
	default: // of a hypervisor's guest
		return Page{}, &UnmappedError{Addr: va}
	}
	processes, err := p.processTable(mem)
	if err != nil {
		return Page{}, err
	}
	if pid >= 1<<(processes&radixSize+12-4) {
		return Page{}, &UnmappedError{va, "process table"}
	}
	root, err := tableEntry(mem, binary.BigEndian, processes&powerAddress&^0xfff, 2*pid, 8)
	if err != nil {
		return Page{}, fmt.Errorf("process table: %w", err)
	}
	return radixWalk(mem, root, va, quadrant)
}

// processTable is the process table's address, with its size in the low bits.
func (p PPC64Paging) processTable(mem io.ReaderAt) (uint64, error) {
	table := p.ProcessTable
	if p.PartitionTable != 0 { // its first entry is the hypervisor's own
		at := p.PartitionTable & powerAddress &^ 0xfff
		host, err := tableEntry(mem, binary.BigEndian, at, 0, 8)
		if err != nil {
			return 0, fmt.Errorf("partition table: %w", err)
		}
		if table, err = tableEntry(mem, binary.BigEndian, at, 1, 8); err != nil {
			return 0, fmt.Errorf("partition table: %w", err)
		}
		table |= host & radixHost
	}
	if table&radixHost == 0 {
		return 0, errors.New("the guest has hashed page tables, which are not walked")
	}
	return table, nil
}

// radixWalk walks the tables from the entry of the process table on. The high
// bits of an address that say whose it is index nothing.
func radixWalk(mem io.ReaderAt, entry, va, whose uint64) (Page, error) {
	shift := uint(entry>>61&3<<3|entry>>5&7) + 31 // bits of an address
	if va&^whose>>shift != 0 {
		return Page{}, &UnmappedError{Addr: va}
	}
	for level := 1; ; level++ {
		name := fmt.Sprintf("level %d radix table", level)
		bits := uint(entry & radixSize)
		if bits == 0 || bits+12 > shift {
			return Page{}, &UnmappedError{va, name} // no such table can be
		}
		shift -= bits
		table := entry & radixTable &^ (8<<bits - 1)
		var err error
		if entry, err = tableEntry(mem, binary.BigEndian, table, va>>shift&(1<<bits-1), 8); err != nil {
			return Page{}, fmt.Errorf("%s: %w", name, err)
		}
		if entry&radixValid == 0 {
			return Page{}, &UnmappedError{va, name}
		}
		if entry&radixLeaf != 0 {
			size := uint64(1) << shift
			return Page{Virt: va &^ (size - 1), Phys: entry & radixPage &^ (size - 1), Size: size}, nil
		}
	}
}
