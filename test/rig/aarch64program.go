package rig

import (
	"debug/elf"
	"encoding/binary"
)

// Where programs for QEMU's machine virt of Arm lie: RAM begins at 1 GiB, with the device tree.
const (
	armLoad  = 0x40100000
	armStep  = 0x4000     // from one processor's code to the next one's
	armFirst = 0x40180000 // the word that the first processor writes when it is done, and the second one waits for
	armDone  = 0x40180008
)

// allDone is the same in either byte order.
const allDone = 0x5a5a5a5a

// AArch64Program sets what its dump has notes for, at EL1 of two processors with SVE, with vectors shorter than they could be.
func AArch64Program(bigEndian bool) Program { return aarch64Program("max", true, bigEndian) }

// CortexA57Program is AArch64Program for processors without SVE.
func CortexA57Program() Program { return aarch64Program("cortex-a57", false, false) }

func aarch64Program(cpu string, sve, bigEndian bool) Program {
	var image []byte
	var c code
	// PSCI CPU_ON: the processor, where it starts, what it gets in x0.
	for reg, v := range []uint64{0xc4000003, 1, armLoad + armStep, 0} {
		c.a64mov(uint32(reg), v)
	}
	c.add(a64HVC)
	for cpu := range 2 {
		c.aarch64(cpu, armLoad+uint64(len(image)), sve, bigEndian)
		image = append(image, c.padded(armStep)...)
		c = nil
	}
	return armProgram(cpu, kernel(elf.EM_AARCH64, binary.LittleEndian, armLoad, image))
}

// armProgram is a program for the machine virt.
func armProgram(cpu string, image []byte) Program {
	return Program{
		Args: []string{"-machine", "virt", "-cpu", cpu, "-m", "64M", "-kernel", "program"},
		File: "program", Image: image, Done: armDone, DoneValue: allDone,
	}
}

// a64 is a register of the system: op0 to op2, CRn, CRm.
func a64(op0, op1, crn, crm, op2 uint32) uint32 {
	return op0<<19&(1<<19) | op1<<16 | crn<<12 | crm<<8 | op2<<5
}

var (
	a64SCTLR = a64(3, 0, 1, 0, 0)
	a64CPACR = a64(3, 0, 1, 0, 2)
	a64ZCR   = a64(3, 0, 1, 2, 0)
	a64TTBR0 = a64(3, 0, 2, 0, 0)
	a64TTBR1 = a64(3, 0, 2, 0, 1)
	a64TCR   = a64(3, 0, 2, 0, 2)
	a64NZCV  = a64(3, 3, 4, 2, 0)
	a64FPCR  = a64(3, 3, 4, 4, 0)
	a64FPSR  = a64(3, 3, 4, 4, 1)

	a64CPTR2 = a64(3, 4, 1, 1, 2)
	a64HCR2  = a64(3, 4, 1, 1, 0)
	a64SPSR2 = a64(3, 4, 4, 0, 0)
	a64ELR2  = a64(3, 4, 4, 0, 1)
)

const (
	a64ISB = 0xd5033fdf
	a64HVC = 0xd4000002
)

// mov sets x[reg], in four instructions.
func (c *code) a64mov(reg uint32, v uint64) {
	c.add(0xd2800000 | uint32(v&0xffff)<<5 | reg) // movz
	for hw := uint32(1); hw < 4; hw++ {
		c.add(0xf2800000 | hw<<21 | uint32(v>>(16*hw)&0xffff)<<5 | reg) // movk
	}
}

// a64msr sets a register of the system, by way of x0.
func (c *code) a64msr(reg uint32, v uint64) {
	c.a64mov(0, v)
	c.add(0xd5100000 | reg)
}

// aarch64 is the program of one processor, with what c has already before it, which lies at load.
func (c *code) aarch64(cpu int, load uint64, sve, bigEndian bool) {
	if bigEndian {
		c.add(0xd5300000 | a64SCTLR) // mrs x0
		c.add(0xd2a06001)            // mov x1, EE | E0E
		c.add(0xaa010000)            // orr x0, x0, x1
		c.add(0xd5100000|a64SCTLR, a64ISB)
	}
	c.a64msr(a64CPACR, 3<<20|3<<16) // no trap for floating point and SVE
	c.add(a64ISB)
	c.a64msr(a64TTBR0, Value(cpu, valueTable0)&0xffff_ffff_f000)
	c.a64msr(a64TTBR1, Value(cpu, valueTable1)&0xffff_ffff_f000)
	c.a64msr(a64TCR, uint64(0x10+cpu)|0x10<<16|5<<32)

	c.a64msr(a64FPSR, 0)
	c.a64msr(a64FPCR, uint64(1+cpu)<<22|1<<24) // another rounding each, denormals are zeros
	// Exceptions of several kinds: 1/0, the next number of the largest, a denormal operand, 1/3.
	for i, operands := range [][2]uint64{{0x3ff0000000000000, 0}, {0x7fefffffffffffff, 0x0010000000000000}, {1, 0x3ff0000000000000}} {
		if i > cpu+1 {
			break
		}
		c.a64mov(0, operands[0])
		c.a64mov(1, operands[1])
		c.add(0x9e670001, 0x9e670022) // fmov d1, x0; fmov d2, x1
		c.add(0x1e621820)             // fdiv d0, d1, d2
	}
	if cpu == 0 {
		c.a64mov(0, 0x7fffffffffffffff)
		c.add(0x9e670001)
		c.add(0x5ee10c20) // sqadd d0, d1, d1: saturates
	}
	if sve {
		c.a64sve(cpu)
		c.add(0xd500419f) // msr pan, #1
		c.add(0xd500417f) // msr uao, #1
	} else {
		for n := range uint32(32) {
			c.a64mov(0, Value(cpu, valueVector+2*int(n)))
			c.a64mov(1, Value(cpu, valueVector+2*int(n)+1))
			c.add(0x4e081c00 | n)        // ins v[n].d[0], x0
			c.add(0x4e181c00 | 1<<5 | n) // ins v[n].d[1], x1
		}
	}
	c.a64mov(0, Value(cpu, 31)&^15)
	c.add(0x9100001f) // mov sp, x0
	c.a64msr(a64NZCV, uint64(9-4*cpu)<<28)
	c.add(0xd50340df | uint32(6-cpu)<<8) // msr daifset

	for n := range uint32(29) {
		if n != 17 {
			c.a64mov(n, Value(cpu, int(n)))
		}
	}
	c.a64mov(29, allDone)
	c.a64mov(30, armFirst)
	if cpu == 1 {
		c.add(0xb94003dc, 0x34fffffc) // ldr w28, [x30]; cbz w28, .-4
		c.a64mov(28, Value(cpu, 28))
		c.a64mov(30, armDone)
	}
	c.add(0xb90003dd) // str w29, [x30]
	c.a64mov(29, Value(cpu, 29))
	c.a64mov(30, Value(cpu, 30))
	// A branch through x17 to itself leaves its kind in BTYPE, where a processor has that.
	c.a64mov(17, load+uint64(4*len(*c))+16)
	c.add(0xd61f0220) // br x17
}

// a64sve fills the vectors and predicates: z[n] is a series of numbers of 64 bits, p[n] has some leading bits, and so has FFR.
func (c *code) a64sve(cpu int) {
	c.a64msr(a64ZCR, 3) // 64 bytes
	c.add(a64ISB)
	for n := range uint32(32) {
		c.a64mov(0, Value(cpu, valueVector+2*int(n)))
		c.a64mov(1, Value(cpu, valueVector+2*int(n)+1))
		c.add(0x04e04c00 | 1<<16 | n) // index z[n].d, x0, x1
	}
	c.add(0x252c9000) // setffr
	c.a64leading(0, 61+cpu)
	c.add(0x25289000) // wrffr p0
	for n := range 16 {
		c.a64leading(uint32(n), 3*n+1+cpu)
	}
}

// a64leading sets the first bits of p[n].
func (c *code) a64leading(n uint32, bits int) {
	c.a64mov(0, uint64(bits))
	c.add(0x25201c00 | 31<<5 | n) // whilelo p[n].b, xzr, x0
}
