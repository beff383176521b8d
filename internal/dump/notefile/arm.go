package notefile

import (
	"encoding/binary"
	"fmt"

	"guestcore/internal/arch"
)

// Types of Arm's notes (include/uapi/linux/elf.h).
const (
	armVFP = 0x400
	armSVE = 0x405
)

// arm reads NT_PRSTATUS and, if there is one, NT_ARM_VFP.
func (p *processor) arm() *arch.ARM {
	s := &arch.ARM{}
	var regs struct {
		R    [16]uint32
		CPSR uint32
	}
	p.take(core, prstatus, statusARM, 72, &regs)
	s.R, s.CPSR = regs.R, regs.CPSR
	if _, ok := find(p.notes, linux, armVFP); ok {
		s.VFP = true
		p.take(linux, armVFP, 260, 0, &s.D)
		p.take(linux, armVFP, 260, 256, &s.FPSCR)
	}
	return s
}

// arm64 reads NT_PRSTATUS, NT_PRFPREG and, if there is one, NT_ARM_SVE. The
// registers of translation are in none of them, and so 0.
func (p *processor) arm64() *arch.ARM64 {
	s := &arch.ARM64{}
	var regs struct {
		X              [31]uint64
		SP, PC, PState uint64
	}
	p.take(core, prstatus, statusARM64, 112, &regs)
	s.X, s.SP, s.PC, s.PState = regs.X, regs.SP, regs.PC, regs.PState
	s.AArch32 = s.PState&pstateNRW != 0
	if !s.AArch32 {
		s.EL = int(s.PState >> 2 & 3)
	}
	p.take(core, prfpreg, 528, 0, &s.V)
	if p.order == binary.BigEndian { // of each the high half is first
		for i, v := range s.V {
			s.V[i] = [2]uint64{v[1], v[0]}
		}
	}
	var control struct{ FPSR, FPCR uint32 }
	p.take(core, prfpreg, 528, 512, &control)
	s.FPSR, s.FPCR = control.FPSR, control.FPCR
	if n, ok := find(p.notes, linux, armSVE); ok && p.err == nil {
		s.SVE, p.err = sve(n.Desc, p.order)
	}
	return s
}

// pstateNRW tells 32-bit state.
const pstateNRW = 1 << 4

// sve reads struct user_sve_header and the registers behind it.
func sve(b []byte, order binary.ByteOrder) (*arch.SVE, error) {
	var head struct {
		Size, MaxSize           uint32
		VL, MaxVL, Flags, Spare uint16
	}
	if _, err := binary.Decode(b, order, &head); err != nil {
		return nil, fmt.Errorf("the note NT_ARM_SVE has %d bytes only", len(b))
	}
	vl := int(head.VL)
	if vl < 16 || vl > 256 || vl%16 != 0 || len(b) < 16+32*vl+17*vl/8 {
		return nil, fmt.Errorf("the note NT_ARM_SVE has %d bytes for vectors of %d", len(b), vl)
	}
	s := &arch.SVE{MaxVL: int(head.MaxVL)}
	b = b[16:]
	cut := func(n int) []byte {
		r := b[:n:n]
		b = b[n:]
		return r
	}
	for i := range s.Z {
		s.Z[i] = cut(vl)
	}
	for i := range s.P {
		s.P[i] = cut(vl / 8)
	}
	return s, nil
}
