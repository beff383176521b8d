package qemu

import (
	"fmt"
	"math/bits"

	"guestcore/internal/arch"
)

// maxVQ is the most quadwords a vector has in QEMU (ARM_MAX_VQ).
const maxVQ = 16

// sve reads the registers of SVE as they are at an exception level, nil if the
// processor has none.
func (c armCPU) sve(el int) *arch.SVE {
	lengths := c.lengths()
	if lengths == 0 {
		return nil
	}
	vq := c.vq(lengths, el)
	s := &arch.SVE{MaxVL: 16 * bits.Len64(lengths)}
	for i := range s.Z {
		s.Z[i] = littleEndian(c.vector(i), 16*vq)
	}
	for i := range s.P {
		s.P[i] = littleEndian(c.env.Uints(fmt.Sprintf("vfp.pregs[%d].p", i)), 2*vq)
	}
	return s
}

// lengths is the lengths of vectors the processor has, bit n for n+1
// quadwords; 0 without SVE.
func (c armCPU) lengths() uint64 {
	cpu := c.cpu
	switch {
	case cpu.Has("sve_vq.map"): // since 7.1
		return uint64(cpu.Uint32("sve_vq.map"))
	case cpu.Has("sve_vq_map"): // since 4.2
		words := cpu.Uints("sve_vq_map")
		if len(words) != 1 {
			return 0
		}
		return words[0]
	case cpu.Has("sve_max_vq"): // since 3.1: all up to the longest
		return 1<<min(cpu.Uint("sve_max_vq"), maxVQ) - 1
	case cpu.Has("mvfr0"): // before: no machine had SVE
		return 0
	case c.lacks("sve128"):
		return 0
	}
	return cpu.Uint("sve_vq.map") // the error of a layout that does not tell
}

// vq is the length of a vector now, quadwords: what ZCR_ELx of the exception
// levels concerned allow (sve_vqm1_for_el), or SMCR_ELx in streaming mode.
func (c armCPU) vq(lengths uint64, el int) int {
	const (
		hcrE2H, hcrTGE = 1 << 34, 1 << 27
		scrNS, scrEEL2 = 1 << 0, 1 << 18
		svcrSM         = 1
	)
	env := c.env
	hasEL3 := c.cpu.Bool("has_el3")
	scr, hcr := env.Uint("cp15.scr_el3"), env.Uint("cp15.hcr_el2")
	secure := hasEL3 && scr&scrNS == 0
	el2 := c.cpu.Bool("has_el2") && (!secure || scr&scrEEL2 != 0)
	inHost := el == 0 && el2 && hcr&hcrE2H != 0 && hcr&hcrTGE != 0

	control := "vfp.zcr_el"
	if optional(env, "svcr")&svcrSM != 0 {
		control = "vfp.smcr_el"
		lengths = uint64(c.cpu.Uint32("sme_vq.map"))
	}
	allowed := maxVQ - 1
	limit := func(el int) {
		allowed = min(allowed, int(env.Uint64(fmt.Sprintf("%s[%d]", control, el))&0xf))
	}
	if el <= 1 && !inHost {
		limit(1)
	}
	if el <= 2 && el2 {
		limit(2)
	}
	if hasEL3 {
		limit(3)
	}
	if within := lengths & (1<<(allowed+1) - 1); within != 0 {
		return bits.Len64(within)
	}
	return bits.TrailingZeros64(lengths|1<<maxVQ) + 1 // streaming mode has no shorter one
}
