package qemu

import (
	"fmt"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
	"guestcore/internal/guest"
)

// readers read the registers of a vCPU from QEMU's structure of them, by the
// end of the vCPU's QOM type.
var readers = []struct {
	suffix string
	read   func(vm *VM, env *cvalue.Object) (arch.State, error)
}{
	{"-arm-cpu", readARM},
	{"-riscv-cpu", readRISCV},
	{"-s390x-cpu", readS390X},
	{"-powerpc64-cpu", readPPC64},
}

// state reads the registers of a vCPU.
func (vm *VM) state(c vcpu) (arch.State, error) {
	for _, r := range readers {
		if !strings.HasSuffix(c.Type, r.suffix) {
			continue
		}
		env, err := vm.env(c)
		if err != nil {
			return nil, err
		}
		return r.read(vm, env)
	}
	return nil, fmt.Errorf("nothing reads the registers of a %s", c.Type)
}

// guestCPUs reads the registers of all vCPUs, in the order of their numbers.
func (vm *VM) guestCPUs() ([]guest.CPU, error) {
	cpus, err := vm.cpus()
	if err != nil {
		return nil, fmt.Errorf("vCPUs: %w", err)
	}
	out := make([]guest.CPU, len(cpus))
	for i, c := range cpus {
		out[i] = guest.CPU{Index: i, Trust: guest.Valid}
		if out[i].State, err = vm.state(c); err != nil {
			out[i] = guest.CPU{Index: i, Reason: err.Error()}
		}
	}
	return out, nil
}
