package rig

import (
	"debug/elf"
	"encoding/binary"
)

// Modes of the processor, as CPSR has them.
const (
	modeFIQ = 0x11
	modeIRQ = 0x12
	modeSVC = 0x13
	modeABT = 0x17
	modeUND = 0x1b
	modeSYS = 0x1f
)

// a32mov sets r[reg].
func (c *code) a32mov(reg, v uint32) {
	low, high := v&0xffff, v>>16
	c.add(0xe3000000|low>>12<<16|reg<<12|low&0xfff, 0xe3400000|high>>12<<16|reg<<12|high&0xfff) // movw, movt
}

// a32mcr writes r0 to a register of coprocessor 15.
func (c *code) a32mcr(crn, crm, op2 uint32) { c.add(0xee000f10 | crn<<16 | op2<<5 | crm) }

// ARMProgram sets what its dump has notes for, on two processors of 32 bits that end in different modes.
func ARMProgram(bigEndian bool) Program {
	var image []byte
	var c code
	for reg, v := range []uint32{0x84000003, 1, armLoad + armStep, 0} { // PSCI CPU_ON
		c.a32mov(uint32(reg), v)
	}
	c.add(0xe1400070) // hvc #0
	for cpu, mode := range []uint32{modeSVC, modeFIQ} {
		c.aarch32(cpu, mode, bigEndian)
		image = append(image, c.padded(armStep)...)
		c = nil
	}
	return armProgram("cortex-a15", kernel32(elf.EM_ARM, armLoad, image))
}

// AArch32Program is a program of 32 bits on a processor of 64 bits. The other one was never started.
func AArch32Program() Program {
	var c code
	c.a64msr(a64HCR2, 0)       // EL1 has 32 bits
	c.a64msr(a64CPTR2, 0x33ff) // no trap for floating point
	c.a64msr(a64SPSR2, 0x1c0|modeSVC)
	c.a64msr(a64ELR2, armLoad+armStep)
	c.add(0xd69f03e0) // eret
	image := c.padded(armStep)
	c = nil
	c.aarch32(0, modeIRQ, false)
	p := armProgram("cortex-a57", kernel(elf.EM_AARCH64, binary.LittleEndian, armLoad, append(image, c.padded(armStep)...)))
	p.Args = append(p.Args, "-machine", "virtualization=on") // to start at EL2
	p.Done = armFirst
	return p
}

// aarch32 is the program of one processor, which ends in a mode.
func (c *code) aarch32(cpu int, mode uint32, bigEndian bool) {
	if bigEndian {
		c.add(0xee110f10) // mrc p15, 0, r0, c1, c0, 0: SCTLR
		c.add(0xe3800402) // orr r0, r0, #1 << 25: EE
		c.a32mcr(1, 0, 0)
		c.add(0xf1010200) // setend be
	}
	c.a32mov(0, 0xf<<20)
	c.a32mcr(1, 0, 2) // CPACR
	c.add(0xf57ff06f) // isb
	c.a32mov(0, 1<<30)
	c.add(0xeee80a10) // vmsr fpexc, r0
	c.a32mov(0, uint32(Value(cpu, valueTable0))&^0x3fff)
	c.a32mcr(2, 0, 0)
	c.a32mov(0, uint32(Value(cpu, valueTable1))&^0x3fff)
	c.a32mcr(2, 0, 1)
	c.a32mov(0, uint32(2+cpu))
	c.a32mcr(2, 0, 2)

	c.a32mov(0, uint32(2-cpu)<<22|5<<28) // rounding, and the flags of comparisons
	c.add(0xeee10a10)                    // vmsr fpscr, r0
	c.a32double(1, 0x3ff0000000000000)
	c.a32double(2, 0)
	c.add(0xee810b02) // vdiv.f64 d0, d1, d2
	if cpu == 0 {
		c.a32double(1, 0x7fffffffffffffff)
		c.add(0xf2310011) // vqadd.s64 d0, d1, d1
	}
	for n := range uint32(32) {
		c.a32double(n, Value(cpu, valueVector+int(n)))
	}

	for _, m := range []uint32{modeSYS, modeABT, modeUND, modeIRQ, modeSVC, modeFIQ, mode} {
		c.add(0xf1020000 | m) // cps
		c.a32mov(13, uint32(Value(cpu, valueMode+2*int(m))))
		c.a32mov(14, uint32(Value(cpu, valueMode+2*int(m)+1)))
		if m == modeFIQ {
			for n := range uint32(5) {
				c.a32mov(8+n, uint32(Value(cpu, 40+int(n))))
			}
		}
	}
	c.a32mov(0, armFirst)
	if cpu == 1 {
		c.add(0xe5901000, 0xe3510000, 0x0afffffc) // ldr r1, [r0]; cmp r1, #0; beq .-8
		c.a32mov(0, armDone)
	}
	c.a32mov(1, allDone)
	c.add(0xe5801000) // str r1, [r0]
	c.a32mov(0, uint32(10-cpu)<<28|1<<27|uint32(5+cpu)<<16)
	c.add(0xe12cf000)  // msr cpsr_fs, r0: flags and GE
	last := uint32(13) // the banked registers have their values
	if mode == modeFIQ {
		last = 8
	}
	for n := range last {
		c.a32mov(n, uint32(Value(cpu, int(n))))
	}
	c.add(0xeafffffe) // b .
}

// a32double sets d[n], by way of r0 and r1.
func (c *code) a32double(n uint32, v uint64) {
	c.a32mov(0, uint32(v))
	c.a32mov(1, uint32(v>>32))
	c.add(0xec410b10 | n>>4<<5 | n&15) // vmov d[n], r0, r1
}
