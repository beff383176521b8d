package arch

import (
	"encoding/binary"
	"fmt"
	"io"
)

// RISCVPaging is what decides how a RISC-V hart translates the addresses of
// supervisor and user mode. A second stage, that of a hypervisor in the guest,
// is not looked at.
type RISCVPaging struct {
	SATP   uint64
	Narrow bool // registers of 32 bits
}

// Paging is how the hart translates addresses.
func (s *RISCV) Paging() Paging { return RISCVPaging{s.SATP, s.Narrow} }

// Bits of entries (RISC-V privileged architecture, 10.3 to 10.6).
const (
	riscvValid = 1 << 0
	riscvRWX   = 7 << 1  // one of these makes it a page
	riscvNAPOT = 1 << 63 // a page of 64 KiB, told by the low bits of its number
)

// mode is the number of tables and the bits that index each of them; 0 tables
// translate nothing.
func (p RISCVPaging) mode() (levels, bits uint, err error) {
	if p.Narrow {
		return uint(p.SATP>>31&1) * 2, 10, nil
	}
	switch mode := uint(p.SATP >> 60); mode {
	case 0:
		return 0, 9, nil
	case 8, 9, 10: // Sv39, Sv48, Sv57
		return mode - 5, 9, nil
	default:
		return 0, 0, fmt.Errorf("satp %#x: no mode of translation is known by %d", p.SATP, mode)
	}
}

// Translate finds the page that holds a virtual address, see [Paging].
func (p RISCVPaging) Translate(mem io.ReaderAt, va uint64) (Page, error) {
	levels, bits, err := p.mode()
	if err != nil {
		return Page{}, err
	}
	if levels == 0 {
		return identity(va), nil
	}
	number, size := uint64(1<<44-1), 8 // of pages; of an entry
	if p.Narrow {
		number, size = 1<<22-1, 4
	} else if unused := 64 - 12 - levels*bits; uint64(int64(va<<unused)>>unused) != va {
		return Page{}, &UnmappedError{Addr: va}
	}
	table := p.SATP & number << 12
	for level := levels; level > 0; level-- {
		shift := 12 + (level-1)*bits
		entry, err := tableEntry(mem, binary.LittleEndian, table, va>>shift&(1<<bits-1), size)
		name := fmt.Sprintf("level %d table", level-1)
		if err != nil {
			return Page{}, fmt.Errorf("%s: %w", name, err)
		}
		if entry&riscvValid == 0 || level == 1 && entry&riscvRWX == 0 {
			return Page{}, &UnmappedError{va, name}
		}
		next := entry >> 10 & number << 12
		if entry&riscvRWX == 0 {
			table = next
			continue
		}
		if level == 1 && !p.Narrow && entry&riscvNAPOT != 0 {
			shift = 16
		}
		bytes := uint64(1) << shift
		return Page{Virt: va &^ (bytes - 1), Phys: next &^ (bytes - 1), Size: bytes}, nil
	}
	panic("the last level has pages only")
}
