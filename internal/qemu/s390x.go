package qemu

import (
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// readS390X reads CPUS390XState (target/s390x/cpu.h). Under TCG the condition
// code in psw.mask is that of the last PSW loaded; what instructions set it to
// since is in the cc_ members. QEMU's own dump has the old one, its info
// registers the right one (s390_cpu_get_psw_mask), as here.
func readS390X(vm *VM, env *cvalue.Object) (arch.State, error) {
	s := &arch.S390X{
		PSWMask: env.Uint64("psw.mask"), PSWAddr: env.Uint64("psw.addr"),
		FPC:             env.Uint32("fpc"),
		Prefix:          uint32(env.Uint64("psa")),
		CPUTimer:        env.Uint64("cputm"),
		ClockComparator: env.Uint64("ckc"),
		TODProgrammable: env.Uint32("todpr"),
	}
	copy(s.GPR[:], env.Uints("regs"))
	copy(s.Control[:], env.Uints("cregs"))
	copy(s.GuardedStorage[:], env.Uints("gscb"))
	for i, r := range env.Uints("aregs") {
		s.Access[i%len(s.Access)] = uint32(r)
	}
	for i := range s.V {
		copy(s.V[i][:], env.Uints(fmt.Sprintf("vregs[%d]", i)))
	}
	if env.Err() != nil {
		return nil, env.Err()
	}
	if vm.accelerator() != "tcg" {
		return s, nil
	}
	cc, err := s390CC(vm.version(), env.Uint32("cc_op"), env.Uint64("cc_src"), env.Uint64("cc_dst"), env.Uint64("cc_vr"))
	if env.Err() != nil {
		return nil, env.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("condition code: %w", err)
	}
	s.SetCC(cc)
	return s, nil
}
