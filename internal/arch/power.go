package arch

import "fmt"

// PPC64 is the registers of a 64-bit Power processor.
type PPC64 struct {
	GPR               [32]uint64
	NIP, MSR, CTR, LR uint64
	XER               uint64 // with SO, OV, CA and, from ISA 3.0 on, OV32 and CA32
	CR                uint32
	// VSR are the vector-scalar registers, doubleword 0 first, which is the high
	// one. Doublewords 0 of the first 32 are the floating-point registers, the
	// last 32 are the vector registers of VMX.
	VSR    [64][2]uint64
	FPSCR  uint64
	VSCR   uint32
	VRSAVE uint32

	// Of the Signal Processing Engine, which the embedded processors have.
	SPEAcc  uint64
	SPEFSCR uint32

	// What radix page tables begin with, see [PPC64Paging]; 0 if there are none
	// or that is not known.
	ProcessTable, PartitionTable, PID uint64

	// LittleEndian tells that it takes interrupts little-endian, which is how
	// its kernel works.
	LittleEndian bool
}

// Registers lists the registers, see [State].
func (s *PPC64) Registers() []Register {
	var out []Register
	for i, r := range s.GPR {
		out = append(out, register64(fmt.Sprintf("r%d", i), r))
	}
	out = append(out, register64("pc", s.NIP), register64("msr", s.MSR), register32("cr", s.CR),
		register64("lr", s.LR), register64("ctr", s.CTR), register64("xer", s.XER))
	for i, v := range s.VSR[:32] {
		out = append(out, register64(fmt.Sprintf("f%d", i), v[0]))
	}
	out = append(out, register64("fpscr", s.FPSCR))
	for i, v := range s.VSR {
		out = append(out, register128(fmt.Sprintf("vs%d", i), v))
	}
	return append(out, register32("vscr", s.VSCR), register32("vrsave", s.VRSAVE))
}
