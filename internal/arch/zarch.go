package arch

import (
	"encoding/binary"
	"fmt"
)

// S390X is the registers of a z/Architecture processor.
type S390X struct {
	PSWMask uint64 // with the condition code in bits 18 and 19, counted from the highest
	PSWAddr uint64
	GPR     [16]uint64
	Access  [16]uint32
	Control [16]uint64
	FPC     uint32
	// V are the vector registers, high half first. The high halves of the first
	// 16 are the floating-point registers.
	V [32][2]uint64

	Prefix          uint32
	CPUTimer        uint64
	ClockComparator uint64
	TODProgrammable uint32
	GuardedStorage  [4]uint64 // the second to fourth are GSD, GSSM and GSEPLA
}

// s390CC is where the condition code is in the PSW's mask.
const s390CC = 44

// SetCC sets the condition code, 0 to 3.
func (s *S390X) SetCC(cc uint64) { s.PSWMask = s.PSWMask&^(3<<s390CC) | cc&3<<s390CC }

// Registers lists the registers, see [State].
func (s *S390X) Registers() []Register {
	out := []Register{register64("pswm", s.PSWMask), register64("pswa", s.PSWAddr)}
	for i, r := range s.GPR {
		out = append(out, register64(fmt.Sprintf("r%d", i), r))
	}
	for i, r := range s.Access {
		out = append(out, register32(fmt.Sprintf("acr%d", i), r))
	}
	for i, r := range s.Control {
		out = append(out, register64(fmt.Sprintf("cr%d", i), r))
	}
	out = append(out, register32("fpc", s.FPC))
	for i, v := range s.V {
		out = append(out, register128(fmt.Sprintf("v%d", i), v))
	}
	return append(out,
		register32("prefix", s.Prefix), register64("cputm", s.CPUTimer),
		register64("ckc", s.ClockComparator), register32("todpr", s.TODProgrammable),
		register64("gsd", s.GuardedStorage[1]), register64("gssm", s.GuardedStorage[2]), register64("gsepla", s.GuardedStorage[3]))
}

// register128 is a register by its halves, high one first.
func register128(name string, v [2]uint64) Register {
	b := binary.LittleEndian.AppendUint64(nil, v[1])
	return Register{name, binary.LittleEndian.AppendUint64(b, v[0])}
}
