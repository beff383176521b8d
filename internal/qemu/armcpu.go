package qemu

import (
	"encoding/binary"
	"fmt"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// armCPU is a vCPU of an Arm target: its registers and, around them, what kind
// of processor it is.
type armCPU struct {
	env *cvalue.Object // CPUARMState
	cpu *cvalue.Object // ARMCPU
	// properties are the processor's. They tell what it has: since 4.1 of
	// floating point, since 4.2 of SVE. nil: they are not known, or are older.
	properties map[string]addr.HVA
}

// lacks reports whether the processor is known to have none of the properties.
func (c armCPU) lacks(names ...string) bool {
	return c.properties != nil && !slices.ContainsFunc(names, func(name string) bool { return c.properties[name] != 0 })
}

// armCPU is the vCPU that env is part of.
func (vm *VM) armCPU(env *cvalue.Object) (armCPU, error) {
	l, err := vm.cpuLayout()
	if err != nil {
		return armCPU{}, err
	}
	c := armCPU{env: env}
	c.cpu, err = vm.cpuObject(l, env.Addr-addr.HVA(l.Env), "ARMCPU")
	if compareVersions(vm.version(), "4.2") >= 0 {
		c.properties, _ = vm.properties(env.Addr - addr.HVA(l.Env))
	}
	return c, err
}

// readARM reads a vCPU of an Arm target, an [arch.ARM64] if it has AArch64 at
// all and else an [arch.ARM].
func readARM(vm *VM, env *cvalue.Object) (arch.State, error) {
	c, err := vm.armCPU(env)
	if err != nil {
		return nil, err
	}
	var s arch.State
	if c.hasAArch64(vm) {
		s = c.aarch64()
	} else {
		s = c.aarch32(vm)
	}
	if err := c.env.Err(); err != nil {
		return nil, err
	}
	return s, c.cpu.Err()
}

// hasAArch64 reports whether the processor has AArch64: by its QOM type or,
// as those types went in 10.1, by its property of that name, or by its
// features. That of AArch64 had number 27 since 5.0 and lost two before it when
// XScale went in 11.0; then V6 got the number 1, which XScale had.
func (c armCPU) hasAArch64(vm *VM) bool {
	if _, ok := vm.isA(c.cpu.Addr, "aarch64-cpu"); ok {
		return true
	}
	if properties, err := vm.properties(c.cpu.Addr); err == nil {
		_, ok := properties["aarch64"]
		return ok
	}
	if !c.cpu.Has("sve_vq.map") { // before 7.1
		return false
	}
	features := c.env.Uint64("features")
	if features>>1&1 != 0 {
		return features>>25&1 != 0
	}
	return features>>27&1 != 0
}

// hasVFP reports whether the processor has registers for floating point or
// vectors: MVFR0.SIMDReg, which QEMU clears where both are switched off. The
// properties to do that are there where the processor has them and, under TCG,
// they are QEMU's to switch off (arm_cpu_post_init).
func (c armCPU) hasVFP(vm *VM) bool {
	cpu := c.cpu
	for _, path := range []string{"isar.mvfr0", "mvfr0"} { // the first since 3.1
		if cpu.Has(path) {
			return cpu.Uint32(path)&0xf != 0
		}
	}
	if vm.accelerator() == "tcg" && c.lacks("vfp", "neon") {
		return false
	}
	return cpu.Bool("has_vfp") || cpu.Bool("has_neon")
}

// aarch64 reads a processor with AArch64 (pstate_read and
// aarch64_sync_32_to_64 of target/arm, QEMU 7.2, say where the parts are).
func (c armCPU) aarch64() *arch.ARM64 {
	env := c.env
	s := &arch.ARM64{PC: env.Uint64("pc"), AArch32: env.Uint("aarch64") == 0}
	if s.AArch32 {
		r := c.banked()
		s.X, s.PC = r.aarch64(), uint64(r.now[15])
		s.PState = c.cpsr()
		s.EL = el32(s.PState)
	} else {
		x := env.Uints("xregs")
		if len(x) == 32 {
			copy(s.X[:], x)
			s.SP = x[31]
		}
		s.PState = c.nzcv() | env.Uint("pstate") | env.Uint("daif") | optional(env, "btype")<<10
		s.EL = int(s.PState >> 2 & 3)
	}
	for i := range s.V {
		q := c.vector(i)
		s.V[i] = [2]uint64(q)
	}
	fpcr, fpsr := c.fpControl()
	s.FPCR, s.FPSR = fpcr, fpsr
	s.SVE = c.sve(s.EL)
	s.TTBR0, s.TTBR1 = env.Uint64("cp15.ttbr0_el[1]"), env.Uint64("cp15.ttbr1_el[1]")
	s.TCR, s.SCTLR = c.tcr(), env.Uint64("cp15.sctlr_el[1]")
	return s
}

// aarch32 reads a processor without AArch64.
func (c armCPU) aarch32(vm *VM) *arch.ARM {
	env := c.env
	s := &arch.ARM{CPSR: uint32(c.cpsr())}
	for i, r := range env.Uints("regs") {
		s.R[i&15] = uint32(r)
	}
	if s.VFP = c.hasVFP(vm); s.VFP {
		for i := range s.D {
			s.D[i] = c.vector(i / 2)[i%2]
		}
		fpcr, fpsr := c.fpControl()
		s.FPSCR = fpcr | fpsr
	}
	s.TTBR0, s.TTBR1 = env.Uint64("cp15.ttbr0_el[1]"), env.Uint64("cp15.ttbr1_el[1]")
	s.TTBCR, s.SCTLR = c.tcr(), env.Uint64("cp15.sctlr_el[1]")
	return s
}

// nzcv are the condition flags in their place, bits 31 to 28. QEMU keeps the
// results they are of: Z is set if ZF is 0.
func (c armCPU) nzcv() uint64 {
	env := c.env
	flags := env.Uint("NF")&(1<<31) | env.Uint("CF")<<29 | env.Uint("VF")&(1<<31)>>3
	if env.Uint("ZF") == 0 {
		flags |= 1 << 30
	}
	return flags
}

// cpsr is the CPSR, of which QEMU keeps parts in members of their own
// (cpsr_read).
func (c armCPU) cpsr() uint64 {
	const aif = 7 << 6
	env := c.env
	it := env.Uint("condexec_bits")
	return c.nzcv() | env.Uint("uncached_cpsr") | env.Uint("QF")<<27 | env.Uint("thumb")<<5 |
		it&3<<25 | it&0xfc<<8 | env.Uint("GE")<<16 | env.Uint("daif")&aif
}

// tcr is TCR_EL1, with what was derived of it beside it before 7.1.
func (c armCPU) tcr() uint64 {
	if path := "cp15.tcr_el[1].raw_tcr"; c.env.Has(path) {
		return c.env.Uint64(path)
	}
	return c.env.Uint64("cp15.tcr_el[1]")
}

// vector is the words of a vector register, as many as the target may have but
// two at least, the lowest first. Before 2.12 there were doubles only.
func (c armCPU) vector(n int) []uint64 {
	var words []uint64
	if c.env.Has("vfp.zregs") {
		words = c.env.Uints(fmt.Sprintf("vfp.zregs[%d].d", n))
	} else if d := c.env.Uints("vfp.regs"); len(d) == 64 {
		words = d[2*n : 2*n+2]
	}
	if len(words) < 2 {
		return make([]uint64, 2) // env has the error
	}
	return words
}

// optional reads a member that not all releases have; one that lacks it has
// nothing to keep there. A layout that is not known whole may lack it without
// a reason: then that is an error.
func optional(o *cvalue.Object, path string) uint64 {
	if o.Size() != 0 && !o.Has(path) {
		return 0
	}
	return o.Uint(path)
}

// littleEndian is the first size bytes of the words.
func littleEndian(words []uint64, size int) []byte {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b[:min(size, len(b))]
}
