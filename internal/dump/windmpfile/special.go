package windmpfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"guestcore/internal/arch"
)

// KSPECIAL_REGISTERS, from its beginning (ntddk's amd64_x.h and i386_x.h, by
// their public symbols):
//
//	x64   cr0, cr2, cr3, cr4: 8 bytes each; six debug registers; at 0x50 GDTR
//	      and at 0x60 IDTR, each six bytes of padding, limit, base; at 0x70 the
//	      selectors of TR and LDTR; at 0xa8 the MSRs of the GS base, of the one
//	      for SWAPGS, STAR, LSTAR, CSTAR and FMASK
//	x86   the same with four bytes each; at 0x28 GDTR and at 0x30 IDTR, each
//	      with two bytes of padding; at 0x38 the selectors
const (
	special64, gdtr64, idtr64, task64, msrs64 = 0xd8, 0x50, 0x60, 0x70, 0xa8
	special32, gdtr32, idtr32, task32         = 0x3c, 0x28, 0x30, 0x38
)

// Bits that a processor that runs Windows has set.
const (
	cr0PE  = 1 << 0
	cr0PG  = 1 << 31
	cr4PAE = 1 << 5
)

// readSpecial reads the control registers and the tables that Windows saved of
// a processor, and with the tables the segments. What it never saved is zeros
// or something else, and an error.
func (k *debuggerData) readSpecial(s *arch.X86, prcb uint64) error {
	size, word, gdtr, idtr, task := special32, 4, gdtr32, idtr32, task32
	if k.wide {
		size, word, gdtr, idtr, task = special64, 8, gdtr64, idtr64, task64
	}
	b := make([]byte, size)
	if err := k.read(b, prcb+k.special); err != nil {
		return err
	}
	for i, n := range [4]int{0, 2, 3, 4} {
		s.CR[n] = number(b[word*i:][:word])
	}
	if s.CR[0]&(cr0PE|cr0PG) != cr0PE|cr0PG || s.CR[4]&cr4PAE != k.CR4 || s.CR[3] == 0 {
		return fmt.Errorf("what Windows saved of them, cr0 %#x, cr3 %#x, cr4 %#x, cannot be", s.CR[0], s.CR[3], s.CR[4])
	}
	table := func(at int) arch.X86Segment {
		pad := word - 2
		return arch.X86Segment{Limit: uint32(binary.LittleEndian.Uint16(b[at+pad:])), Base: number(b[at+pad+2:][:word])}
	}
	s.GDT, s.IDT = table(gdtr), table(idtr)
	s.TR.Selector = uint32(binary.LittleEndian.Uint16(b[task:]))
	s.LDT.Selector = uint32(binary.LittleEndian.Uint16(b[task+2:]))
	if s.GDT.Limit == 0 || s.IDT.Limit == 0 {
		return errors.New("no descriptor tables of it were saved")
	}
	for i := range s.Segs {
		if err := k.descriptor(&s.Segs[i], s.GDT, false); err != nil {
			return err
		}
	}
	for _, seg := range []*arch.X86Segment{&s.TR, &s.LDT} {
		if err := k.descriptor(seg, s.GDT, k.wide); err != nil {
			return err
		}
	}
	if !k.wide {
		return nil
	}
	msr := func(i int) uint64 { return number(b[msrs64+8*i:][:8]) }
	s.EFER = arch.EFERLMA
	s.Syscall = &arch.X86Syscall{STAR: msr(2), LSTAR: msr(3), CSTAR: msr(4), FMASK: msr(5)}
	s.Segs[segGS].Base, s.KernelGSBase = msr(0), msr(1)
	if own := prcb - k.prcb; k.prcb != 0 && s.Segs[segCS].Selector&3 != 0 { // a program: the kernel's is the other one
		s.Segs[segGS].Base, s.KernelGSBase = msr(1), own
	}
	return nil
}

const (
	segCS = 1
	segGS = 5
)

// descriptor fills in the hidden part of a segment register from the
// descriptor that its selector names (Intel SDM vol. 3, 3.4.5); long ones have
// 16 bytes. The null selector has none.
func (k *debuggerData) descriptor(seg *arch.X86Segment, gdt arch.X86Segment, long bool) error {
	const local, index = 4, 0xfff8
	if seg.Selector&^3 == 0 {
		return nil
	}
	if seg.Selector&local != 0 || uint64(seg.Selector&index)+7 > uint64(gdt.Limit) {
		return fmt.Errorf("the selector %#x is not of the table that Windows saved", seg.Selector)
	}
	var b [16]byte
	part := b[:8]
	if long {
		part = b[:]
	}
	if err := k.read(part, gdt.Base+uint64(seg.Selector&index)); err != nil {
		return fmt.Errorf("descriptor %#x: %w", seg.Selector, err)
	}
	low, high := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
	seg.Base = uint64(low>>16 | high<<16&0xff0000 | high&0xff000000)
	if long {
		seg.Base |= uint64(binary.LittleEndian.Uint32(b[8:])) << 32
	}
	seg.Limit = low&0xffff | high&0xf0000
	if high&(1<<23) != 0 { // in pages
		seg.Limit = seg.Limit<<12 | 0xfff
	}
	seg.Flags = high
	return nil
}
