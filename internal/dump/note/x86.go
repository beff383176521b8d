package note

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// Numbers of registers in arch.X86.
const (
	rax = iota
	rcx
	rdx
	rbx
	rsp
	rbp
	rsi
	rdi
)

const (
	segES = iota
	segCS
	segSS
	segDS
	segFS
	segGS
)

// x86Notes are NT_PRSTATUS as Linux lays it out for processes of the machine
// that the dump is of, and QEMU's own note (target/i386/arch_dump.c; unchanged
// since kernel_gs_base came in 2.12).
func x86Notes(s *arch.X86, index int, g arch.Guest) []elfNote {
	status := prstatus64(s, index)
	if g.Machine == elf.EM_386 {
		status = prstatus32(s, index)
	}
	return []elfNote{{nameCore, ntPRStatus, status}, {nameQEMU, 0, qemuCPUState(s)}}
}

// x86Remarks says of which processors NT_PRSTATUS cuts the registers.
func x86Remarks(m *guest.Machine, written []arch.State) []string {
	var cut []int
	for i, state := range written {
		if s, ok := state.(*arch.X86); ok && m.Arch.Machine == elf.EM_386 && s.LongMode() {
			cut = append(cut, m.CPUs[i].Index)
		}
	}
	if cut == nil {
		return nil
	}
	return []string{fmt.Sprintf("CPU %s is in long mode, and a file of a 386 has half of its registers: X86_64 has all", Numbers(cut))}
}

// prstatus64 is struct elf_prstatus of x86-64, 336 bytes: the process id at
// 32, struct user_regs_struct at 112. The id is the processor's number, from
// 1 on.
func prstatus64(s *arch.X86, index int) []byte {
	b := make([]byte, 336)
	binary.LittleEndian.PutUint32(b[32:], uint32(index)+1)
	r, seg := &s.Regs, &s.Segs
	put(b[112:], [...]uint64{
		r[15], r[14], r[13], r[12], r[rbp], r[rbx], r[11], r[10], r[9], r[8], r[rax], r[rcx], r[rdx], r[rsi], r[rdi],
		0, // orig_rax
		s.RIP, uint64(seg[segCS].Selector), s.RFLAGS, r[rsp], uint64(seg[segSS].Selector),
		seg[segFS].Base, seg[segGS].Base,
		uint64(seg[segDS].Selector), uint64(seg[segES].Selector), uint64(seg[segFS].Selector), uint64(seg[segGS].Selector),
	})
	return b
}

// prstatus32 is struct elf_prstatus of i386, 144 bytes: the process id at 24,
// struct user_regs_struct at 72.
func prstatus32(s *arch.X86, index int) []byte {
	b := make([]byte, 144)
	binary.LittleEndian.PutUint32(b[24:], uint32(index)+1)
	low := func(n int) uint32 { return uint32(s.Regs[n]) }
	selector := func(n int) uint32 { return s.Segs[n].Selector & 0xffff }
	put(b[72:], [...]uint32{
		low(rbx), low(rcx), low(rdx), low(rsi), low(rdi), low(rbp), low(rax),
		selector(segDS), selector(segES), selector(segFS), selector(segGS),
		0, // orig_eax
		uint32(s.RIP), selector(segCS), uint32(s.RFLAGS), low(rsp), selector(segSS),
	})
	return b
}

// qemuCPUState is QEMUCPUState, version 1. Readers that know no kernel_gs_base
// go by the size.
func qemuCPUState(s *arch.X86) []byte {
	type segment struct {
		Selector, Limit, Flags, _ uint32
		Base                      uint64
	}
	seg := func(s arch.X86Segment) segment {
		return segment{Selector: s.Selector, Limit: s.Limit, Flags: s.Flags, Base: s.Base}
	}
	r := &s.Regs
	state := struct {
		Version, Size          uint32
		Low                    [8]uint64 // in QEMU's order
		High                   [8]uint64 // r8 to r15
		RIP, RFLAGS            uint64
		CS, DS, ES, FS, GS, SS segment
		LDT, TR, GDT, IDT      segment
		CR                     [5]uint64
		KernelGSBase           uint64
	}{
		Version: 1,
		Low:     [8]uint64{r[rax], r[rbx], r[rcx], r[rdx], r[rsi], r[rdi], r[rsp], r[rbp]},
		High:    [8]uint64(r[8:]),
		RIP:     s.RIP, RFLAGS: s.RFLAGS,
		CS: seg(s.Segs[segCS]), DS: seg(s.Segs[segDS]), ES: seg(s.Segs[segES]),
		FS: seg(s.Segs[segFS]), GS: seg(s.Segs[segGS]), SS: seg(s.Segs[segSS]),
		LDT: seg(s.LDT), TR: seg(s.TR), GDT: seg(s.GDT), IDT: seg(s.IDT),
		CR: s.CR, KernelGSBase: s.KernelGSBase,
	}
	state.Size = uint32(binary.Size(state))
	b := make([]byte, state.Size)
	put(b, state)
	return b
}

// put encodes a value of fixed size for which b has room, little-endian.
func put(b []byte, v any) {
	if _, err := binary.Encode(b, binary.LittleEndian, v); err != nil {
		panic(err) // b is too short
	}
}
