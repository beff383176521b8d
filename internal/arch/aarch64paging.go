package arch

import (
	"encoding/binary"
	"fmt"
	"io"
)

// ARM64Paging is what decides how an AArch64 processor translates the
// addresses of an operating system and its programs: stage 1 of EL1&0. A
// second stage, that of a hypervisor in the guest, is not looked at.
type ARM64Paging struct {
	SCTLR, TCR, TTBR0, TTBR1 uint64 // of EL1
}

// Paging is how the processor translates addresses, nil in 32-bit state.
func (s *ARM64) Paging() Paging {
	if s.AArch32 {
		return nil
	}
	return ARM64Paging{s.SCTLR, s.TCR, s.TTBR0, s.TTBR1}
}

// Bits of registers and descriptors (Arm ARM, D17.2 and D8.3).
const (
	sctlrM = 1 << 0
	tcrDS  = 1 << 59 // descriptors of 4 and 16 KiB granules hold 52 bits

	arm64Valid = 1 << 0
	arm64Table = 1 << 1 // and not a block; a page, in the last table
)

// half is one of the two ranges of virtual addresses.
type half struct {
	ttbr    uint64
	bits    uint // of an address
	granule uint // the same of an address in a page
	tagged  bool // bits 63 to 56 are the program's
}

// half is the range that an address belongs to; ok is false if it is in none.
func (p ARM64Paging) half(va uint64) (h half, ok bool) {
	upper := va>>55&1 == 1
	if upper {
		h = half{p.TTBR1, 64 - uint(p.TCR>>16&63), map[uint64]uint{1: 14, 2: 12, 3: 16}[p.TCR>>30&3], p.TCR>>38&1 == 1}
	} else {
		h = half{p.TTBR0, 64 - uint(p.TCR&63), map[uint64]uint{0: 12, 1: 16, 2: 14}[p.TCR>>14&3], p.TCR>>37&1 == 1}
	}
	top := uint(64)
	if h.tagged {
		top = 56
	}
	if h.granule == 0 || h.bits <= h.granule || h.bits > 52 {
		return half{}, false
	}
	sign := va << (64 - top) >> (64 - top) >> h.bits // the bits between
	if upper {
		return h, sign == 1<<(top-h.bits)-1
	}
	return h, sign == 0
}

// Translate finds the page that holds a virtual address, see [Paging].
func (p ARM64Paging) Translate(mem io.ReaderAt, va uint64) (Page, error) {
	if p.SCTLR&sctlrM == 0 {
		return identity(va), nil
	}
	h, ok := p.half(va)
	if !ok {
		return Page{}, &UnmappedError{Addr: va}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if p.SCTLR&sctlrEE != 0 {
		order = binary.BigEndian
	}
	stride := h.granule - 3                              // bits that index a whole table
	levels := (h.bits - h.granule + stride - 1) / stride // five, from level -1 on, where 4 KiB and more than 48 bits meet
	bits := h.bits - h.granule - (levels-1)*stride       // those of the first
	table := h.root(bits)
	for level := 4 - int(levels); level < 4; level++ {
		shift := h.granule + uint(3-level)*stride
		name := fmt.Sprintf("level %d table", level)
		entry, err := tableEntry(mem, order, table, va>>shift&(1<<bits-1), 8)
		if err != nil {
			return Page{}, fmt.Errorf("%s: %w", name, err)
		}
		if entry&arm64Valid == 0 || level == 3 && entry&arm64Table == 0 {
			return Page{}, &UnmappedError{va, name}
		}
		if level == 3 || entry&arm64Table == 0 {
			size := uint64(1) << shift
			return Page{Virt: va &^ (size - 1), Phys: p.address(entry, h.granule) &^ (size - 1), Size: size}, nil
		}
		table, bits = p.address(entry, h.granule)&^(1<<h.granule-1), stride
	}
	panic("the last level has pages only")
}

// address is the physical address in a descriptor.
func (p ARM64Paging) address(entry uint64, granule uint) uint64 {
	switch {
	case granule == 16: // bits 15 to 12 are bits 51 to 48, zero before ARMv8.2
		return entry&0xffff_ffff_0000 | entry>>12&0xf<<48
	case p.TCR&tcrDS != 0: // bits 9 and 8 are bits 51 and 50
		return entry&0x3_ffff_ffff_f000 | entry>>8&3<<50
	}
	return entry & 0xffff_ffff_f000
}

// root is the physical address of the first table, which bits of an address
// index.
func (h half) root(bits uint) uint64 {
	size := uint64(8) << bits
	table := h.ttbr & 0xffff_ffff_fffe &^ (min(size, 1<<h.granule) - 1)
	if h.bits > 48 { // bits 5 to 2 are bits 51 to 48
		table = table&^0x3f | h.ttbr>>2&0xf<<48
	}
	return table
}
