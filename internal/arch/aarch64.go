package arch

import (
	"encoding/binary"
	"fmt"
)

// ARM64 is the registers of a processor with AArch64, in either of its states.
type ARM64 struct {
	// AArch32 tells that the processor ran code of 32 bits. X has the registers
	// of all its modes then, in the places the architecture gives them (Arm ARM,
	// D1.19.2), SP is 0 and PState is its CPSR.
	AArch32    bool
	X          [31]uint64
	SP         uint64 // of the exception level it is in
	PC         uint64
	PState     uint64        // as SPSR_EL1 has it
	V          [32][2]uint64 // low half, high half
	FPSR, FPCR uint32
	SVE        *SVE // nil: it has none

	EL           int // exception level, 0 to 3
	TTBR0, TTBR1 uint64
	TCR, SCTLR   uint64 // these four of EL1
}

// SVE is the registers of the Scalable Vector Extension, whose lowest 128 bits
// are those of [ARM64].V.
type SVE struct {
	MaxVL int        // longest vector of the processor, bytes: 16 to 256
	Z     [32][]byte // as long as a vector is now; little-endian in either byte order
	P     [17][]byte // an eighth of that; P[16] is FFR
}

// VL is the length of a vector now, bytes: a multiple of 16.
func (s *SVE) VL() int { return len(s.Z[0]) }

// BigEndian reports whether EL1 works on big-endian data.
func (s *ARM64) BigEndian() bool { return s.SCTLR&sctlrEE != 0 }

const sctlrEE = 1 << 25

// Registers lists the registers, see [State].
func (s *ARM64) Registers() []Register {
	var out []Register
	for i, x := range s.X {
		out = append(out, register64(fmt.Sprintf("x%d", i), x))
	}
	out = append(out, register64("sp", s.SP), register64("pc", s.PC), register64("pstate", s.PState))
	for i, v := range s.V {
		value := binary.LittleEndian.AppendUint64(nil, v[0])
		out = append(out, Register{fmt.Sprintf("v%d", i), binary.LittleEndian.AppendUint64(value, v[1])})
	}
	out = append(out, register32("fpsr", s.FPSR), register32("fpcr", s.FPCR))
	if s.SVE != nil {
		for i, z := range s.SVE.Z {
			out = append(out, Register{fmt.Sprintf("z%d", i), z})
		}
		for i, p := range s.SVE.P[:16] {
			out = append(out, Register{fmt.Sprintf("p%d", i), p})
		}
		out = append(out, Register{"ffr", s.SVE.P[16]})
	}
	return append(out, register64("ttbr0_el1", s.TTBR0), register64("ttbr1_el1", s.TTBR1),
		register64("tcr_el1", s.TCR), register64("sctlr_el1", s.SCTLR))
}

func register64(name string, v uint64) Register {
	return Register{name, binary.LittleEndian.AppendUint64(nil, v)}
}

func register32(name string, v uint32) Register {
	return Register{name, binary.LittleEndian.AppendUint32(nil, v)}
}
