package arch

import "fmt"

// LoongArch is the registers of a 64-bit LoongArch processor.
type LoongArch struct {
	R         [32]uint64 // R[0] is always 0
	PC        uint64
	ERA, BADV uint64     // where the last exception was, and of what address
	F         [32]uint64 // the low 64 bits of the vectors that LSX and LASX have
	FCC       [8]uint8   // condition flags, 0 or 1
	FCSR      uint32
}

// Registers lists the registers, see [State].
func (s *LoongArch) Registers() []Register {
	var out []Register
	for i, r := range s.R {
		out = append(out, register64(fmt.Sprintf("r%d", i), r))
	}
	out = append(out, register64("pc", s.PC), register64("era", s.ERA), register64("badv", s.BADV))
	for i, f := range s.F {
		out = append(out, register64(fmt.Sprintf("f%d", i), f))
	}
	for i, c := range s.FCC {
		out = append(out, Register{fmt.Sprintf("fcc%d", i), []byte{c}})
	}
	return append(out, register32("fcsr", s.FCSR))
}
