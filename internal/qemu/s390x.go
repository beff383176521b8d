package qemu

import (
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// s390xState reads CPUS390XState (target/s390x/cpu.h). Under TCG the condition
// code in psw.mask is that of the last PSW loaded: the one instructions set is
// in the cc_ members. QEMU's own dump has the old one, its info registers the
// right one (s390_cpu_get_psw_mask), as here.
func s390xState(vm *VM, env *cvalue.Object) (arch.State, error) {
	s := &arch.S390X{
		PSWMask: env.Uint64("psw.mask"), PSWAddr: env.Uint64("psw.addr"),
		FPC:             env.Uint32("fpc"),
		Prefix:          uint32(env.Uint64("psa")),
		CPUTimer:        env.Uint64("cputm"),
		ClockComparator: env.Uint64("ckc"),
		TODProgrammable: env.Uint32("todpr"),
	}
	for i := range 16 {
		s.GPR[i] = env.Uint64(fmt.Sprintf("regs[%d]", i))
		s.Access[i] = env.Uint32(fmt.Sprintf("aregs[%d]", i))
		s.Control[i] = env.Uint64(fmt.Sprintf("cregs[%d]", i))
	}
	for i := range s.V {
		for half := range 2 {
			s.V[i][half] = env.Uint64(fmt.Sprintf("vregs[%d][%d]", i, half))
		}
	}
	for i := range s.GuardedStorage {
		s.GuardedStorage[i] = env.Uint64(fmt.Sprintf("gscb[%d]", i))
	}
	if err := env.Err(); err != nil {
		return nil, err
	}
	m, err := vm.machine()
	if err != nil {
		return nil, err
	}
	accel, err := m.accelerator()
	if err != nil {
		return nil, fmt.Errorf("accelerator: %w", err)
	}
	if accel != "tcg" {
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
