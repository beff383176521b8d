package qemu

import (
	"fmt"

	"guestcore/internal/cvalue"
)

// Bits of FPCR and FPSR.
const (
	fpcrAH  = 1 << 1
	fpcrFZ  = 1 << 24
	fpsrQC  = 1 << 27
	fpcrAll = 0x07ff9f00 // of those that FPSCR has too
	fpsrAll = 0xf800009f
)

// fpControl is FPCR and FPSR. QEMU keeps parts of them apart: vector length
// and stride, whether anything was saturated, and the exceptions, which pile
// up in several float_status, one for each kind of arithmetic. Since 9.1 there
// is a member for either register; before, there was one FPSCR in xregs[1]
// (vfp_get_fpscr).
func (c armCPU) fpControl() (fpcr, fpsr uint32) {
	env := c.env
	lengths := optional(env, "vfp.vec_len")<<16 | optional(env, "vfp.vec_stride")<<20
	if env.Has("v7m.ltpsize") { // 0 but in microcontrollers
		lengths |= env.Uint("v7m.ltpsize") << 16
	}
	var saturated uint64
	if env.Size() == 0 || env.Has("vfp.qc") { // since 4.0
		for _, q := range env.Uints("vfp.qc") {
			if q != 0 {
				saturated = fpsrQC
			}
		}
	}
	if env.Has("vfp.fpsr") {
		fpcr = uint32(env.Uint("vfp.fpcr") | lengths)
		fpsr = uint32(env.Uint("vfp.fpsr")|saturated) | c.exceptions(uint64(fpcr))
		return fpcr, fpsr
	}
	fpscr := uint32(env.Uint("vfp.xregs[1]")|lengths|saturated) | c.exceptions(0)
	return fpscr & fpcrAll, fpscr & fpsrAll
}

// softFlags are exceptions of QEMU's arithmetic, as float_status has them.
type softFlags uint64

// Exceptions as they are numbered since 7.0 (include/fpu/softfloat-types.h).
const (
	softInvalid softFlags = 1 << iota
	softDivByZero
	softOverflow
	softUnderflow
	softInexact
	softInputFlushed            // a denormal operand was taken for zero
	softOutputFlushed           // a denormal result was made zero
	softInputDenormal softFlags = 1 << 14
)

// softFlagsMember is the path of the exceptions in a float_status.
const softFlagsMember = ".float_exception_flags"

// fpsr is the bits of FPSR that the exceptions set, with FPCR.AH or without.
func (f softFlags) fpsr(ah bool) (bits uint32) {
	set := func(on softFlags, bit uint32) {
		if f&on != 0 {
			bits |= bit
		}
	}
	set(softInvalid, 1<<0)
	set(softDivByZero, 1<<1)
	set(softOverflow, 1<<2)
	set(softUnderflow|softOutputFlushed, 1<<3)
	set(softInexact, 1<<4)
	set(softInputFlushed, 1<<7)
	if ah {
		set(softOutputFlushed, 1<<4)
		set(softInputDenormal, 1<<7)
	}
	return bits
}

// exceptions are the bits of FPSR that are not in it yet. Arithmetic on halves
// does not tell of denormal operands.
func (c armCPU) exceptions(fpcr uint64) uint32 {
	env := c.env
	var narrow, wide softFlags // of AArch32 and of AArch64, which had none of its own before 10.0
	if n := elements(env, "vfp.fp_status"); n >= 8 {
		at := func(i int) softFlags { return c.status(fmt.Sprintf("vfp.fp_status[%d]", i)) }
		// A32, A64, their halves, some that leave no trace, then the standard
		// arithmetic of vectors and its halves (ARMFPStatusFlavour, 10.0).
		narrow = at(0) | at(2)&^softInputFlushed | at(n-2) | at(n-1)&^softInputFlushed
		wide = at(1) | at(3)&^(softInputFlushed|softInputDenormal)
		if fpcr&(fpcrFZ|fpcrAH) != fpcrFZ {
			wide &^= softInputFlushed
		}
		return narrow.fpsr(false) | wide.fpsr(fpcr&fpcrAH != 0)
	}
	narrow = c.status("vfp.fp_status") | c.status("vfp.standard_fp_status")
	for _, halves := range []string{"vfp.fp_status_f16", "vfp.standard_fp_status_f16"} { // since 2.12, 5.1
		if env.Has(halves + softFlagsMember) {
			narrow |= c.status(halves) &^ softInputFlushed
		}
	}
	return narrow.fpsr(false)
}

// status is the exceptions of a float_status.
func (c armCPU) status(path string) softFlags {
	path += softFlagsMember
	v := c.env.Uint(path)
	if size(c.env, path) == 1 { // before 7.0: bit 1 was not used
		return softFlags(v&1 | v>>1&0x7e)
	}
	return softFlags(v)
}

// elements is the length of an array, 0 if the member is none.
func elements(o *cvalue.Object, path string) int {
	f, ok := o.Field(path)
	if !ok {
		return 0
	}
	return int(f.Count)
}

// size is the size of a member, in bytes.
func size(o *cvalue.Object, path string) uint64 {
	f, _ := o.Field(path)
	return f.Size
}
