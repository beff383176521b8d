package qemu

import "guestcore/internal/cvalue"

// checkARM checks CPUARMState.
func checkARM(env *cvalue.Object) error {
	c := &claims{env: env}
	wide, thumb := c.value("aarch64"), c.value("thumb")
	c.that(wide <= 1 && thumb <= 1, "aarch64 is %d and thumb is %d, neither 0 nor 1", wide, thumb)
	c.that(c.value("CF") <= 1, "CF is %d, neither 0 nor 1", c.value("CF"))
	if wide == 1 {
		c.that(c.value("pc")&3 == 0, "PC %#x is not aligned", c.value("pc"))
		c.that(c.value("pstate")&0xf < 14, "PSTATE %#x has a mode that is none", c.value("pstate"))
	} else {
		c.that(c.value("regs[15]")&1 == 0, "PC %#x is not aligned", c.value("regs[15]"))
	}
	c.that(c.value("daif")&^0x3c0 == 0, "DAIF %#x cannot be", c.value("daif"))
	return c.err()
}

// checkS390X checks CPUS390XState. The PSW of a configured vCPU is one of
// z/Architecture (Principles of Operation, "Program-Status-Word Format").
func checkS390X(env *cvalue.Object) error {
	const reserved, bit12, wide, basic = 0xb808_0000_0000_0000, 1 << (63 - 12), 1 << (63 - 31), 1 << (63 - 32)
	c := &claims{env: env}
	mask, psa := c.value("psw.mask"), c.value("psa")
	c.that(mask&^uint64(bit12)&reserved == 0, "PSW mask %#x cannot be", mask)
	c.that(mask&wide == 0 || mask&basic != 0, "PSW mask %#x has an addressing mode that is none", mask)
	c.that(psa&0x1fff == 0, "prefix %#x is not one of a page", psa)
	if c.known("cc_op") {
		c.that(c.value("cc_op") < 256, "cc_op %d cannot be", c.value("cc_op"))
	}
	return c.err()
}

// Bits of the MSR: 64 bits, as servers (SF) and embedded processors (CM) have
// them, RI, which goes with them, and what all have: EE, PR, ME.
const (
	msrSF  = 1 << 63
	msrCM  = 1 << 31
	msrRI  = 1 << 1
	msrAll = 1<<15 | 1<<14 | 1<<12
)

// checkPPC64 checks CPUPPCState.
func checkPPC64(env *cvalue.Object) error {
	c := &claims{env: env}
	c.that(c.value("nip")&3 == 0, "NIP %#x is not aligned", c.value("nip"))
	for i, field := range c.env.Uints("crf") {
		c.that(field < 16, "crf[%d] is %#x, more than 4 bits", i, field)
	}
	if c.known("msr_mask") {
		mask := c.value("msr_mask")
		wide := mask&(msrSF|msrCM) != 0 && mask&msrRI != 0
		c.that(mask&msrAll == msrAll && (wide || mask>>32 == 0), "msr_mask %#x is that of no processor", mask) // the emulator has narrow ones too
	}
	for _, path := range []string{"so", "ov", "ca", "ov32", "ca32"} {
		if c.known(path) {
			c.that(c.value(path) <= 1, "%s is %#x, neither 0 nor 1", path, c.value(path))
		}
	}
	return c.err()
}

// checkRISCV checks CPURISCVState.
func checkRISCV(env *cvalue.Object) error {
	c := &claims{env: env}
	c.that(c.value("gpr[0]") == 0, "x0 is %#x", c.value("gpr[0]"))
	c.that(c.value("pc")&1 == 0, "PC %#x is not aligned", c.value("pc"))
	c.that(c.value("priv")&0xff <= 3, "privilege %d cannot be", c.value("priv"))
	if c.known("misa_mxl") {
		mxl := c.value("misa_mxl")
		c.that(mxl >= 1 && mxl <= 3, "misa_mxl is %d", mxl)
	}
	return c.err()
}
