package qemu

import (
	"errors"
	"fmt"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// cpuLayout says where the registers of the machine's vCPUs are.
type cpuLayout struct {
	layout         // has CPUState and EnvType
	EnvType string // the target's structure of registers: CPUX86State and the like
	Env     uint64 // its place in the vCPU's object, bytes
}

// cpuTarget is how a target's vCPUs are made.
type cpuTarget struct {
	suffix string // of the vCPU's QOM type
	cpu    string // the vCPU's structure: CPUState, then env
	env    string // the structure of its registers
}

var cpuTargets = []cpuTarget{
	{"-x86_64-cpu", "X86CPU", "CPUX86State"},
	{"-i386-cpu", "X86CPU", "CPUX86State"},
	{"-arm-cpu", "ARMCPU", "CPUARMState"},
	{"-s390x-cpu", "S390CPU", "CPUS390XState"},
	{"-powerpc64-cpu", "PowerPCCPU", "CPUPPCState"},
	{"-riscv-cpu", "RISCVCPU", "CPURISCVState"},
	{"-loongarch-cpu", "LoongArchCPU", "CPULoongArchState"},
}

func cpuTargetOf(cpuType string) (cpuTarget, error) {
	for _, t := range cpuTargets {
		if strings.HasSuffix(cpuType, t.suffix) {
			return t, nil
		}
	}
	return cpuTarget{}, fmt.Errorf("%w of vCPUs of type %s", ErrNoLayout, cpuType)
}

// findCPULayout finds the layout of the machine's vCPUs.
func (vm *VM) findCPULayout() (cpuLayout, error) {
	cpus, err := vm.cpus()
	if err != nil {
		return cpuLayout{}, err
	}
	t, err := cpuTargetOf(cpus[0].Type)
	if err != nil {
		return cpuLayout{}, err
	}
	if !vm.layout.Table {
		return vm.debugCPULayout(t)
	}
	return vm.tableCPULayout(t, cpus[0])
}

// debugCPULayout is what the debug information says.
func (vm *VM) debugCPULayout(t cpuTarget) (cpuLayout, error) {
	s, err := vm.layout.Struct(t.cpu)
	if err != nil {
		return cpuLayout{}, err
	}
	env, err := s.Field("env")
	if err != nil {
		return cpuLayout{}, err
	}
	return cpuLayout{layout: vm.layout, EnvType: t.env, Env: env.Offset}, nil
}

// tableCPULayout takes from the built-in table what agrees with the sizes that
// QOM has of CPUState and the vCPU.
func (vm *VM) tableCPULayout(t cpuTarget, c vcpu) (cpuLayout, error) {
	common, ok := vm.isA(c.Addr, "cpu")
	if !ok {
		return cpuLayout{}, fmt.Errorf("the vCPU at %#x is of type %s, which is no cpu", uint64(c.Addr), c.Type)
	}
	whole, ok := vm.isA(c.Addr, c.Type)
	if !ok || whole < common {
		return cpuLayout{}, fmt.Errorf("a vCPU of type %s has %d bytes, a CPUState %d", c.Type, whole, common)
	}
	states, err := vm.cpuRecords("CPUState")
	if err != nil {
		return cpuLayout{}, err
	}
	for _, s := range states {
		if s.Size != common {
			continue
		}
		env, err := vm.envOffset(c, s, common, whole)
		if err != nil {
			continue
		}
		r, err := vm.envRecord(t, whole-env)
		if err != nil {
			return cpuLayout{}, err
		}
		table := ctype.MakeTable(r.version, map[string]ctype.Record{"CPUState": s.Record, t.env: r.Record})
		return cpuLayout{layout{table, r.String(), true}, t.env, env}, nil
	}
	return cpuLayout{}, fmt.Errorf("%w of vCPUs: none has a CPUState of %d bytes", ErrNoLayout, common)
}

// envOffset is where the registers begin in a vCPU of whole bytes: where
// CPUState.env_ptr points or, since that went in 8.2, behind CPUState.
func (vm *VM) envOffset(c vcpu, state cpuRecord, common, whole uint64) (uint64, error) {
	p, ok := state.Members["env_ptr"]
	if !ok {
		return common, nil
	}
	a, err := vm.space.Pointer(c.Addr + addr.HVA(p.Offset))
	if err != nil {
		return 0, err
	}
	off := uint64(a - c.Addr)
	if off < common || off >= whole {
		return 0, fmt.Errorf("CPUState.env_ptr of the vCPU at %#x is %#x, outside of it", uint64(c.Addr), uint64(a))
	}
	return off, nil
}

// envRecord is the structure of registers of which the vCPU's object goes on
// to tail bytes from where it begins.
func (vm *VM) envRecord(t cpuTarget, tail uint64) (cpuRecord, error) {
	ends, err := vm.cpuRecords(t.cpu)
	if err != nil {
		return cpuRecord{}, err
	}
	envs, err := vm.cpuRecords(t.env)
	if err != nil {
		return cpuRecord{}, err
	}
	for _, e := range ends {
		if e.Size-e.Members["env"].Offset != tail {
			continue
		}
		for _, r := range envs {
			if compareVersions(r.version, e.version) <= 0 {
				return r, nil
			}
		}
	}
	return cpuRecord{}, fmt.Errorf("%w of vCPUs: no %s has %d bytes from its env on", ErrNoLayout, t.cpu, tail)
}

// env is the registers of a vCPU, with the members as QEMU's source names
// them: "eip", "regs[3]", "segs[0].base", "cp15.ttbr1_el[1]". Has tells which
// of them are known.
func (vm *VM) env(c vcpu) (*cvalue.Object, error) {
	l, err := vm.cpuLayout()
	if err != nil {
		return nil, err
	}
	return vm.cpuObject(l, c.Addr+addr.HVA(l.Env), l.EnvType)
}

// cpuState is the CPUState of a vCPU: thread_id, cpu_index, halted,
// vcpu_dirty.
func (vm *VM) cpuState(c vcpu) (*cvalue.Object, error) {
	l, err := vm.cpuLayout()
	if err != nil {
		return nil, err
	}
	return vm.cpuObject(l, c.Addr, "CPUState")
}

func (vm *VM) cpuObject(l cpuLayout, a addr.HVA, typ string) (*cvalue.Object, error) {
	if a == 0 {
		return nil, errors.New("no vCPU")
	}
	space := *vm.space
	space.Layouts = l.Layouts
	o := space.At(a, typ)
	return o, o.Err()
}
