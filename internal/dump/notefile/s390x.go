package notefile

import "guestcore/internal/arch"

// Types of s390's notes (include/uapi/linux/elf.h).
const (
	s390Timer   = 0x301
	s390TODCmp  = 0x302
	s390TODPReg = 0x303
	s390Ctrs    = 0x304
	s390Prefix  = 0x305
	s390VXLow   = 0x309
	s390VXHigh  = 0x30a
	s390GSCB    = 0x30b
)

// s390x reads the notes that QEMU writes of any processor
// (target/s390x/arch_dump.c).
func (p *processor) s390x() *arch.S390X {
	s := &arch.S390X{}
	var regs struct {
		Mask, Addr uint64
		GPR        [16]uint64
		Access     [16]uint32
	}
	p.take(core, prstatus, statusS390X, 112, &regs)
	s.PSWMask, s.PSWAddr, s.GPR, s.Access = regs.Mask, regs.Addr, regs.GPR, regs.Access
	var float struct {
		FPC, Pad uint32
		F        [16]uint64
	}
	p.take(core, prfpreg, 136, 0, &float)
	s.FPC = float.FPC
	var low [16]uint64
	p.take(linux, s390VXLow, 128, 0, &low)
	var high [16][2]uint64
	p.take(linux, s390VXHigh, 256, 0, &high)
	for i := range 16 {
		s.V[i] = [2]uint64{float.F[i], low[i]}
		s.V[16+i] = high[i]
	}
	p.take(linux, s390Prefix, 4, 0, &s.Prefix)
	p.take(linux, s390Ctrs, 128, 0, &s.Control)
	p.take(linux, s390Timer, 8, 0, &s.CPUTimer)
	p.take(linux, s390TODCmp, 8, 0, &s.ClockComparator)
	p.take(linux, s390TODPReg, 4, 0, &s.TODProgrammable)
	p.take(linux, s390GSCB, 32, 0, &s.GuardedStorage)
	return s
}
