package qemu

// Modes of AArch32, the low bits of CPSR (Arm ARM, G1.9.1).
const (
	modeMask = 0x1f
	modeUSR  = 0x10
	modeFIQ  = 0x11
	modeIRQ  = 0x12
	modeSVC  = 0x13
	modeMON  = 0x16
	modeABT  = 0x17
	modeHYP  = 0x1a
	modeUND  = 0x1b
	modeSYS  = 0x1f
)

// armBanks are the registers of AArch32: those of the mode the processor is
// in, and those the other modes have for themselves.
type armBanks struct {
	mode     uint64
	now      [16]uint64
	usr, fiq [5]uint64 // r8 to r12
	// sp and lr of each mode, in QEMU's order of modes (bank_number). The entry
	// of the mode the processor is in is not current.
	sp, lr [8]uint64
}

// QEMU's order of modes in banked_r13 and banked_r14.
const (
	bankUSR = iota
	bankSVC
	bankABT
	bankUND
	bankIRQ
	bankFIQ
	bankHYP
	bankMON
)

func (c armCPU) banked() *armBanks {
	env := c.env
	b := &armBanks{mode: env.Uint("uncached_cpsr") & modeMask}
	copy(b.now[:], env.Uints("regs"))
	copy(b.usr[:], env.Uints("usr_regs"))
	copy(b.fiq[:], env.Uints("fiq_regs"))
	copy(b.sp[:], env.Uints("banked_r13"))
	copy(b.lr[:], env.Uints("banked_r14"))
	// The current mode's are the ones in use.
	for mode, bank := range map[uint64]int{modeUSR: bankUSR, modeSYS: bankUSR, modeSVC: bankSVC, modeABT: bankABT,
		modeUND: bankUND, modeIRQ: bankIRQ, modeFIQ: bankFIQ, modeHYP: bankHYP, modeMON: bankMON} {
		if b.mode == mode {
			b.sp[bank], b.lr[bank] = b.now[13], b.now[14]
		}
	}
	switch b.mode {
	case modeHYP:
		b.lr[bankUSR] = b.now[14] // it shares that of user mode
	case modeFIQ:
		copy(b.fiq[:], b.now[8:13])
	}
	if b.mode != modeFIQ {
		copy(b.usr[:], b.now[8:13])
	}
	return b
}

// aarch64 puts the registers where the architecture has them in AArch64 (Arm
// ARM, D1.19.2).
func (b *armBanks) aarch64() (x [31]uint64) {
	copy(x[:8], b.now[:8])
	copy(x[8:], b.usr[:])
	x[13], x[14] = b.sp[bankUSR], b.lr[bankUSR]
	x[15] = b.sp[bankHYP]
	x[16], x[17] = b.lr[bankIRQ], b.sp[bankIRQ]
	x[18], x[19] = b.lr[bankSVC], b.sp[bankSVC]
	x[20], x[21] = b.lr[bankABT], b.sp[bankABT]
	x[22], x[23] = b.lr[bankUND], b.sp[bankUND]
	copy(x[24:], b.fiq[:])
	x[29], x[30] = b.sp[bankFIQ], b.lr[bankFIQ]
	return x
}

// el32 is the exception level of a mode of AArch32 where EL3, if there is one,
// has 64 bits.
func el32(cpsr uint64) int {
	switch cpsr & modeMask {
	case modeUSR:
		return 0
	case modeHYP:
		return 2
	case modeMON:
		return 3
	}
	return 1
}
