package qemu

import (
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// readS390X reads CPUS390XState (target/s390x/cpu.h). The CPU timer is QEMU's
// number: under TCG the time it runs out, in nanoseconds of the guest's clock.
func readS390X(_ *VM, env *cvalue.Object) (arch.State, error) {
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
	access := env.Uints("aregs")
	for i := range min(len(access), len(s.Access)) {
		s.Access[i] = uint32(access[i])
	}
	for i := range s.V {
		copy(s.V[i][:], env.Uints(fmt.Sprintf("vregs[%d]", i)))
	}
	if env.Err() != nil {
		return nil, env.Err()
	}
	return s, nil
}

// s390Condition puts into a vCPU's registers the condition code it has under
// TCG. That of psw.mask is the last PSW's that was loaded; what instructions
// made of it since is in the cc_ members. QEMU's own dump has the old one, its
// info registers the right one (s390_cpu_get_psw_mask).
func (vm *VM) s390Condition(c vcpu, s *arch.S390X) error {
	env, err := vm.env(c)
	if err != nil {
		return err
	}
	op, src, dst, vr := env.Uint32("cc_op"), env.Uint64("cc_src"), env.Uint64("cc_dst"), env.Uint64("cc_vr")
	if env.Err() != nil {
		return env.Err()
	}
	cc, err := s390CC(vm.version(), op, src, dst, vr)
	if err == nil {
		s.SetCC(cc)
	}
	return err
}
