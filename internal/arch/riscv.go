package arch

import "fmt"

// RISCV is the registers of a RISC-V hart.
type RISCV struct {
	// Narrow tells that its registers have 32 bits.
	Narrow bool
	PC     uint64
	X      [32]uint64 // X[0] is always 0

	SATP, MStatus uint64
	Priv          int // privilege: 0 user, 1 supervisor, 3 machine
}

// Registers lists the registers, see [State].
func (s *RISCV) Registers() []Register {
	word := func(name string, v uint64) Register {
		if s.Narrow {
			return register32(name, uint32(v))
		}
		return register64(name, v)
	}
	out := []Register{word("pc", s.PC)}
	for i, x := range s.X {
		out = append(out, word(fmt.Sprintf("x%d", i), x))
	}
	return append(out, word("satp", s.SATP), register64("mstatus", s.MStatus), Register{"priv", []byte{byte(s.Priv)}})
}
