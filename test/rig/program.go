package rig

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// Program is a guest without an operating system: some instructions that give every register a value of its own, say so in
// memory, and end in a loop of one instruction.
type Program struct {
	Args  []string // QEMU's, for the machine; they name File, which is in the working folder
	File  string
	Image []byte // what is in File

	// The word of guest memory at Done is DoneValue, in the byte order of the emulator's target, once the registers are set.
	Done      uint64
	DoneValue uint32
}

// pattern is a table of n doublewords without two alike, and none that a swap of bytes, words or halves leaves as it is.
func pattern(order binary.AppendByteOrder, n int) []byte {
	var b []byte
	for i := range n {
		b = order.AppendUint64(b, 0x0123456789abcdef*uint64(2*i+1)^uint64(i)<<57)
	}
	return b
}

// kernel is an ELF file that has QEMU put code at an address and enter it there.
func kernel(machine elf.Machine, order binary.ByteOrder, at uint64, code []byte) []byte {
	data := elf.ELFDATA2LSB
	if order == binary.BigEndian {
		data = elf.ELFDATA2MSB
	}
	const start = 64 + 56
	size := uint64(len(code))
	var b bytes.Buffer
	for _, part := range []any{
		elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(data), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
			Entry: at, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
		},
		elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
			Off: start, Vaddr: at, Paddr: at, Filesz: size, Memsz: size, Align: 1,
		},
		code,
	} {
		if err := binary.Write(&b, order, part); err != nil {
			panic(fmt.Sprintf("rig: an ELF header of fixed size: %v", err))
		}
	}
	return b.Bytes()
}

// kernel32 is kernel for a machine of 32 bits, little-endian.
func kernel32(machine elf.Machine, at uint32, code []byte) []byte {
	const start = 52 + 32
	size := uint32(len(code))
	var b bytes.Buffer
	for _, part := range []any{
		elf.Header32{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
			Entry: at, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 1,
		},
		elf.Prog32{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
			Off: start, Vaddr: at, Paddr: at, Filesz: size, Memsz: size, Align: 1,
		},
		code,
	} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(fmt.Sprintf("rig: an ELF header of fixed size: %v", err))
		}
	}
	return b.Bytes()
}

// Value is what a program that several processors run gives to register n of one of them: no two are alike in any half.
func Value(cpu, n int) uint64 {
	// The finalizer of splitmix64, a bijection.
	x := uint64(cpu)<<32 + uint64(n) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Numbers of values that are no general register's: of vectors, of the registers that modes have for themselves, of
// translation tables.
const (
	valueVector = 100
	valueMode   = 200
	valueTable0 = 300
	valueTable1 = 301
)

// code is instructions of 32 bits each, little-endian in memory.
type code []uint32

func (c *code) add(instructions ...uint32) { *c = append(*c, instructions...) }

// padded is the code with zeros behind it, size bytes in all.
func (c code) padded(size int) []byte {
	var b []byte
	for _, i := range c {
		b = binary.LittleEndian.AppendUint32(b, i)
	}
	return append(b, make([]byte, size-len(b))...)
}
