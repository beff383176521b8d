package notefile

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// Types of Power's notes. QEMU names them CORE, where Linux says LINUX.
const (
	ppcVMX = 0x100
	ppcSPE = 0x101
	ppcVSX = 0x102
)

// ppc64 reads the five notes that QEMU writes of any processor
// (target/ppc/arch_dump.c).
func (p *processor) ppc64() *arch.PPC64 {
	s := &arch.PPC64{LittleEndian: p.order == binary.LittleEndian}
	var regs struct {
		GPR               [32]uint64
		NIP, MSR, Orig    uint64 // the last one is gpr3 before a system call
		CTR, LR, XER, CCR uint64
	}
	p.take(core, prstatus, statusPPC64, 112, &regs)
	s.GPR, s.NIP, s.MSR, s.CTR, s.LR, s.XER, s.CR = regs.GPR, regs.NIP, regs.MSR, regs.CTR, regs.LR, regs.XER, uint32(regs.CCR)
	var high [33]uint64 // the last one is fpscr
	p.take(core, prfpreg, 264, 0, &high)
	var low [32]uint64
	p.take(core, ppcVSX, 256, 0, &low)
	var vectors [32][2]uint64
	p.take(core, ppcVMX, 544, 0, &vectors)
	for i := range 32 {
		s.VSR[i] = [2]uint64{high[i], low[i]}
		v := vectors[i]
		if p.order == binary.LittleEndian { // of each the low half is first
			v[0], v[1] = v[1], v[0]
		}
		s.VSR[32+i] = v
	}
	s.FPSCR = high[32]
	p.take(core, ppcVMX, 544, 32*16+12, &s.VSCR)
	p.take(core, ppcVMX, 544, 33*16, &s.VRSAVE)
	var spe struct {
		Acc   uint64
		FPSCR uint32
	}
	p.take(core, ppcSPE, 140, 128, &spe)
	s.SPEAcc, s.SPEFSCR = spe.Acc, spe.FPSCR
	return s
}
