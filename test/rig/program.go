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
