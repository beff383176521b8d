package arch

import "encoding/binary"

// X86 is the registers of an x86 processor, of 32 or 64 bits.
type X86 struct {
	// Wide tells that the processor is one of 64 bits, in whatever mode.
	Wide   bool
	Regs   [16]uint64 // RAX RCX RDX RBX RSP RBP RSI RDI R8 to R15, as instructions number them
	RIP    uint64
	RFLAGS uint64
	// Segs are ES CS SS DS FS GS, as instructions number them.
	Segs              [6]X86Segment
	LDT, TR, GDT, IDT X86Segment
	CR                [5]uint64 // CR1 is always 0
	EFER              uint64
	KernelGSBase      uint64
}

// X86Segment is a segment register with its hidden part.
type X86Segment struct {
	Selector uint32
	Base     uint64
	Limit    uint32
	Flags    uint32 // the descriptor's second word, in place
}

// EFERLMA is the bit of EFER that tells long mode.
const EFERLMA = 1 << 10

// LongMode reports whether the processor is in long mode.
func (s *X86) LongMode() bool { return s.EFER&EFERLMA != 0 }

// Registers lists the registers, see [State].
func (s *X86) Registers() []Register {
	names := []string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	var out []Register
	for i, name := range names {
		out = append(out, Register{name, binary.LittleEndian.AppendUint64(nil, s.Regs[i])})
	}
	return append(out,
		Register{"rip", binary.LittleEndian.AppendUint64(nil, s.RIP)},
		Register{"rflags", binary.LittleEndian.AppendUint64(nil, s.RFLAGS)})
}
