package qemu

import (
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/cvalue"
)

// cpuLayout says where the registers of the machine's vCPUs are.
type cpuLayout struct {
	layout         // has CPUState and EnvType
	EnvType string // the target's structure of registers: CPUX86State and the like
	Env     uint64 // its place in the vCPU's object, bytes
}

// findCPULayout finds the layout of the machine's vCPUs.
func (vm *VM) findCPULayout() (cpuLayout, error) {
	if vm.layout.Table {
		return cpuLayout{}, fmt.Errorf("%w of vCPUs without debug information", ErrNoLayout)
	}
	for _, env := range []string{"CPUArchState", "CPUX86State"} { // renamed in 7.1
		cpu, err := vm.layout.Struct("CPUState")
		if err != nil {
			return cpuLayout{}, err
		}
		if _, err := vm.layout.Struct(env); err == nil {
			_ = cpu // before 8.2 env lies elsewhere
			return cpuLayout{layout: vm.layout, EnvType: env, Env: cpu.Size}, nil
		}
	}
	return cpuLayout{}, ErrNoLayout
}

// env is the registers of a vCPU.
func (vm *VM) env(c vcpu) (*cvalue.Object, error) {
	l, err := vm.cpuLayout()
	if err != nil {
		return nil, err
	}
	space := *vm.space
	space.Layouts = l.Layouts
	return space.At(c.Addr+addr.HVA(l.Env), l.EnvType), nil
}
