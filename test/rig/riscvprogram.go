package rig

import (
	"debug/elf"
	"encoding/binary"
)

// Both harts start where RAM begins. A table for each lies behind the code: x0 to x31, satp, and the addresses of what it waits for
// and of what it writes when it is done. The first one waits for its own code.
const (
	riscvLoad  = 0x80000000
	riscvFirst = 0x80001000 // the word that the first hart writes when it is done, and the second one waits for
	riscvDone  = 0x80001008
	riscvTable = 0x400 // for a hart, and before the first
)

// RISCVProgram sets what its dump has notes for, in machine mode of two harts of qemu-system-riscv64 or -riscv32.
func RISCVProgram(target string) Program {
	size := uint32(8) // of a register
	if target == "riscv32" {
		size = 4
	}
	load := func(reg, index uint32) uint32 { // l[wd] reg, table[index](x31)
		return (riscvTable+index*size)<<20 | 31<<15 | (size/8+2)<<12 | reg<<7 | 0x03
	}
	var c code
	c.add(0x00000f97) // auipc x31, 0
	c.add(0xf14022f3) // csrr x5, mhartid
	c.add(0x00a29293) // slli x5, x5, 10
	c.add(0x005f8fb3) // add x31, x31, x5
	c.add(load(5, 32))
	c.add(0x18029073) // csrw satp, x5
	for reg := range uint32(29) {
		c.add(load(reg, reg))
	}
	c.add(load(30, 33), 0x000f2e83, 0xfe0e8ee3) // lw x29, 0(x30); beqz x29, .-4
	c.add(load(29, 35), load(30, 34))
	c.add(0x01df2023) // sw x29, 0(x30)
	for reg := range uint32(3) {
		c.add(load(29+reg, 29+reg))
	}
	c.add(0x0000006f) // j .
	image := c.padded(riscvTable)
	for hart := range 2 {
		var table []byte
		value := func(v uint64) {
			table = binary.LittleEndian.AppendUint64(table, v)[:len(table)+int(size)]
		}
		for reg := range 32 {
			value(Value(hart, reg))
		}
		value(8<<60 | Value(hart, valueTable0)>>20) // Sv39, or none in 32 bits
		value([2]uint64{riscvLoad, riscvFirst}[hart])
		value([2]uint64{riscvFirst, riscvDone}[hart])
		value(allDone)
		image = append(image, append(table, make([]byte, riscvTable-len(table))...)...)
	}
	p := Program{
		Args: []string{"-machine", "virt", "-bios", "none", "-m", "64M", "-kernel", "program"},
		File: "program", Image: kernel(elf.EM_RISCV, binary.LittleEndian, riscvLoad, image), Done: riscvDone, DoneValue: allDone,
	}
	if size == 4 {
		p.Image = kernel32(elf.EM_RISCV, riscvLoad, image)
	}
	return p
}
