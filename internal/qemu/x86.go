package qemu

import (
	"encoding/binary"
	"fmt"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// readX86 reads CPUX86State (target/i386/cpu.h), of a target of 64 bits or of
// 32. What must be in any dump is an error if the layout lacks it; the rest is
// left unknown.
func readX86(vm *VM, env *cvalue.Object) (arch.State, error) {
	s := &arch.X86{
		RIP:    env.Uint("eip"),
		RFLAGS: env.Uint("eflags"),
		LDT:    x86Segment(env, "ldt"),
		TR:     x86Segment(env, "tr"),
		GDT:    x86Segment(env, "gdt"),
		IDT:    x86Segment(env, "idt"),
		EFER:   env.Uint64("efer"),
	}
	copy(s.Regs[:], env.Uints("regs")) // 8, 16, and since 11.0 32 of them
	copy(s.CR[:], env.Uints("cr"))
	for i := range s.Segs {
		s.Segs[i] = x86Segment(env, fmt.Sprintf("segs[%d]", i))
	}
	if s.Wide = env.Has("regs[8]"); s.Wide {
		s.KernelGSBase = env.Uint64("kernelgsbase")
	}
	x86Rest(env, s)
	s.APICBase = vm.x86APICBase(env)
	if env.Has("fpuc") && env.Has("xmm_regs[0]") && env.Has("mxcsr") {
		s.FPU = vm.x86FPU(env)
	}
	return s, env.Err()
}

func x86Segment(env *cvalue.Object, path string) arch.X86Segment {
	return arch.X86Segment{
		Selector: env.Uint32(path + ".selector"),
		Base:     env.Uint(path + ".base"),
		Limit:    env.Uint32(path + ".limit"),
		Flags:    env.Uint32(path + ".flags"),
	}
}

// x86Rest reads what a layout may lack.
func x86Rest(env *cvalue.Object, s *arch.X86) {
	has := func(paths ...string) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !env.Has(p) })
	}
	one := func(path string) *uint64 {
		if !has(path) {
			return nil
		}
		v := env.Uint(path)
		return &v
	}
	if has("dr[7]") {
		s.DR = &[8]uint64{}
		copy(s.DR[:], env.Uints("dr"))
	}
	if has("star", "lstar", "cstar", "fmask") {
		s.Syscall = &arch.X86Syscall{
			STAR: env.Uint64("star"), LSTAR: env.Uint("lstar"), CSTAR: env.Uint("cstar"), FMASK: env.Uint("fmask"),
		}
	}
	if has("sysenter_cs", "sysenter_esp", "sysenter_eip") {
		s.Sysenter = &arch.X86Sysenter{CS: env.Uint("sysenter_cs"), ESP: env.Uint("sysenter_esp"), EIP: env.Uint("sysenter_eip")}
	}
	s.PAT, s.TSCAux, s.XCR0 = one("pat"), one("tsc_aux"), one("xcr0")
	if s.A20Mask = one("a20_mask"); s.A20Mask != nil { // an int32_t, extended to the width of addresses
		const hflagsSMM = 1 << 19 // in system management mode the line is ignored, since 5.2
		*s.A20Mask = uint64(int32(*s.A20Mask))
		if has("hflags") && env.Uint("hflags")&hflagsSMM != 0 {
			*s.A20Mask = ^uint64(0)
		}
	}
}

// zmmSize is sizeof(ZMMReg), bytes, in 2.6 and newer.
const zmmSize = 64

// x86FPU reads x87 and SSE. TCG has st0 to st7 where the stack has them, other
// accelerators as FXSAVE has them. TCG gathers the exceptions of SSE elsewhere
// and brings them into mxcsr when somebody asks.
func (vm *VM) x86FPU(env *cvalue.Object) *arch.X86FPU {
	top := int(env.Uint("fpstt")) & 7
	f := &arch.X86FPU{
		Control: uint16(env.Uint("fpuc")),
		Status:  uint16(env.Uint("fpus"))&^0x3800 | uint16(top)<<11,
		MXCSR:   env.Uint32("mxcsr"),
	}
	first := 0
	if vm.accelerator() == "tcg" {
		first = top
	}
	for i, empty := range env.Uints("fptags") {
		f.Tags |= uint8(^empty&1) << i
	}
	for i := range f.ST {
		st := env.Bytes(fmt.Sprintf("fpregs[%d]", (first+i)&7), 16) // floatx80: uint64_t, uint16_t
		if st == nil {
			return nil
		}
		binary.LittleEndian.PutUint64(f.ST[i][:], vm.space.Order.Uint64(st))
		binary.LittleEndian.PutUint16(f.ST[i][8:], vm.space.Order.Uint16(st[8:]))
	}
	for i := 0; env.Has(fmt.Sprintf("xmm_regs[%d]", i)) && i < 32; i++ {
		zmm := env.Bytes(fmt.Sprintf("xmm_regs[%d]", i), zmmSize)
		if zmm == nil {
			return nil
		}
		if vm.space.Order == binary.BigEndian { // its words lie in reverse, too
			slices.Reverse(zmm)
		}
		f.Vectors = append(f.Vectors, [zmmSize]byte(zmm))
	}
	return f
}

// x86APICBase reads the APIC's base register, which is in a device of the
// vCPU's; nil if the layout does not lead there.
func (vm *VM) x86APICBase(env *cvalue.Object) *uint64 {
	l, err := vm.cpuLayout()
	if err != nil {
		return nil
	}
	space := *vm.space
	space.Layouts = l.Layouts
	apic := space.At(env.Addr-addr.HVA(l.Env), "X86CPU").Deref("apic_state", "APICCommonState")
	base := apic.Uint("apicbase")
	if apic.Err() != nil {
		return nil
	}
	return &base
}
