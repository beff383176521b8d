package arch

import "fmt"

// ARM is the registers of a processor without AArch64.
type ARM struct {
	R     [16]uint32 // of the mode it is in; R[15] is the program counter
	CPSR  uint32
	VFP   bool // it has the registers of the next line
	D     [32]uint64
	FPSCR uint32

	TTBR0, TTBR1 uint64
	TTBCR, SCTLR uint64 // these four non-secure
}

// BigEndian reports whether the kernel works on big-endian data.
func (s *ARM) BigEndian() bool { return s.SCTLR&sctlrEE != 0 }

// Registers lists the registers, see [State].
func (s *ARM) Registers() []Register {
	names := [16]string{13: "sp", 14: "lr", 15: "pc"}
	var out []Register
	for i, r := range s.R {
		name := names[i]
		if name == "" {
			name = fmt.Sprintf("r%d", i)
		}
		out = append(out, register32(name, r))
	}
	out = append(out, register32("cpsr", s.CPSR))
	if s.VFP {
		for i, d := range s.D {
			out = append(out, register64(fmt.Sprintf("d%d", i), d))
		}
		out = append(out, register32("fpscr", s.FPSCR))
	}
	return append(out, register64("ttbr0", s.TTBR0), register64("ttbr1", s.TTBR1),
		register32("ttbcr", uint32(s.TTBCR)), register32("sctlr", uint32(s.SCTLR)))
}
