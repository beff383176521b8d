package qemu

import (
	"encoding/binary"
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// readLoongArch reads a LoongArch vCPU. The registers for exceptions moved
// into sys_states between 10.2 and 11.1, which has one for each level of
// virtualization.
func readLoongArch(vm *VM, env *cvalue.Object) (arch.State, error) {
	system := ""
	if env.Has("sys_states[0].CSR_ERA") {
		system = "sys_states[0]."
	}
	s := &arch.LoongArch{
		PC:   env.Uint("pc"),
		ERA:  env.Uint64(system + "CSR_ERA"),
		BADV: env.Uint64(system + "CSR_BADV"),
		FCSR: env.Uint32("fcsr0"),
	}
	copy(s.R[:], env.Uints("gpr"))
	for i, c := range env.Uints("cf") {
		s.FCC[i&7] = uint8(c)
	}
	if err := env.Err(); err != nil {
		return nil, err
	}
	var err error
	s.F, err = vm.loongArchFloats(env)
	return s, err
}

// loongArchFloats reads env.fpr, whose elements were of 64 bits and are
// vectors of 256 since 8.2, in the host's byte order.
func (vm *VM) loongArchFloats(env *cvalue.Object) (out [32]uint64, err error) {
	f, ok := env.Field("fpr")
	if !ok || f.Elem == nil || f.Elem.Size < 8 || f.Elem.Size > 256 || f.Count != uint64(len(out)) {
		return out, fmt.Errorf("%w of CPULoongArchState.fpr", ErrNoLayout)
	}
	b := make([]byte, f.Count*f.Elem.Size)
	if _, err := vm.space.Mem.ReadAt(b, int64(env.AddrOf("fpr"))); err != nil {
		return out, fmt.Errorf("CPULoongArchState.fpr: %w", err)
	}
	for i := range out {
		element := b[:f.Elem.Size]
		b = b[f.Elem.Size:]
		if vm.space.Order == binary.BigEndian {
			element = element[len(element)-8:]
		}
		out[i] = vm.space.Order.Uint64(element)
	}
	return out, nil
}
