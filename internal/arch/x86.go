package arch

// X86 is the registers of an x86 processor. What may be unknown is a pointer,
// nil if it is; the rest always is known.
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

	DR       *[8]uint64 // 4 and 5 are 6 and 7, or 0
	FPU      *X86FPU
	Syscall  *X86Syscall
	Sysenter *X86Sysenter
	PAT      *uint64
	TSCAux   *uint64
	XCR0     *uint64
	APICBase *uint64
	A20Mask  *uint64 // of physical addresses
}

// X86Segment is a segment register with its hidden part.
type X86Segment struct {
	Selector uint32
	Base     uint64
	Limit    uint32 // bytes, less one
	Flags    uint32 // the descriptor's second word, in place
}

// X86FPU is the registers of x87, MMX, SSE and what came after, as FXSAVE
// names them (Intel SDM vol. 1, 10.5.1).
type X86FPU struct {
	Control, Status uint16
	Tags            uint8 // a bit for each physical register, set if it is in use
	ST              [8][10]byte
	MXCSR           uint32
	// Vectors are zmm0 on, 8, 16 or 32 of them: the first 16 bytes of each are
	// xmm, the first 32 ymm. A processor without the wide ones has no use for
	// the rest.
	Vectors [][64]byte
}

// X86Syscall is the MSRs of SYSCALL.
type X86Syscall struct{ STAR, LSTAR, CSTAR, FMASK uint64 }

// X86Sysenter is the MSRs of SYSENTER.
type X86Sysenter struct{ CS, ESP, EIP uint64 }

// EFERLMA is the bit of EFER that tells long mode.
const EFERLMA = 1 << 10

// LongMode reports whether the processor is in long mode.
func (s *X86) LongMode() bool { return s.EFER&EFERLMA != 0 }
