package qemu

import (
	"fmt"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// cpuLayout says where the registers of the machine's vCPUs are.
type cpuLayout struct {
	layout         // has CPUState, EnvType, and the target's own vCPU, such as X86CPU
	EnvType string // the target's structure of registers: CPUX86State and the like
	Env     uint64 // its place in the vCPU's object, bytes
}

// cpuTarget is how a target's vCPUs are made.
type cpuTarget struct {
	suffix  string                            // of the vCPU's QOM type
	cpu     string                            // the vCPU's structure: CPUState, then env
	env     string                            // the structure of its registers
	first   string                            // the member that env begins with, in all releases
	vmstate string                            // the symbol of its VMState table
	untold  bool                              // the built-in table has this env of another target
	telling bool                              // check finds a wrong layout on its own
	runs    [][]run                           // of its registers
	check   func(env *cvalue.Object) error    // what holds in any QEMU
	more    func(vm *VM, c vcpu, f *cpuFacts) // finds more than VMState tells; nil: there is no way
}

var cpuTargets = []cpuTarget{
	{"-x86_64-cpu", "X86CPU", "CPUX86State", "regs", "vmstate_x86_cpu", false, true, x86Runs(8, 32), checkX86, x86Facts},
	{"-i386-cpu", "X86CPU", "CPUX86State", "regs", "vmstate_x86_cpu", true, false, x86Runs(4, 8), checkX86, x86Facts},
	{"-arm-cpu", "ARMCPU", "CPUARMState", "regs", "vmstate_arm_cpu", false, false, armRuns, checkARM, armFacts},
	{"-s390x-cpu", "S390CPU", "CPUS390XState", "regs", "vmstate_s390_cpu", false, false, s390Runs, checkS390X, nil},
	{"-powerpc64-cpu", "PowerPCCPU", "CPUPPCState", "gpr", "vmstate_ppc_cpu", false, false, ppcRuns, checkPPC64, nil},
	{"-riscv-cpu", "RISCVCPU", "CPURISCVState", "gpr", "vmstate_riscv_cpu", false, false, nil, checkRISCV, nil},
	{"-loongarch-cpu", "LoongArchCPU", "CPULoongArchState", "gpr", "vmstate_loongarch_cpu", true, false, nil, nil, nil},
}

func cpuTargetOf(cpuType string) (cpuTarget, error) {
	for _, t := range cpuTargets {
		if strings.HasSuffix(cpuType, t.suffix) {
			return t, nil
		}
	}
	return cpuTarget{}, fmt.Errorf("%w of vCPUs of type %s", ErrNoLayout, cpuType)
}

// findCPULayout finds the layout of the machine's vCPUs: in the debug
// information, else in QEMU's own VMState tables and the built-in one.
func (vm *VM) findCPULayout() (cpuLayout, error) {
	cpus, err := vm.cpus()
	if err != nil {
		return cpuLayout{}, err
	}
	t, err := cpuTargetOf(cpus[0].Type)
	if err != nil {
		return cpuLayout{}, err
	}
	find := vm.foundCPULayout
	if !vm.layout.Table {
		find = vm.debugCPULayout
	}
	l, err := find(t, cpus[0])
	if err != nil {
		return cpuLayout{}, err
	}
	if err := vm.checkCPUs(l, t); err != nil {
		return cpuLayout{}, fmt.Errorf("%w of vCPUs: %s: %w", ErrNoLayout, l.Name, err)
	}
	return l, nil
}

// debugCPULayout is what the debug information says.
func (vm *VM) debugCPULayout(t cpuTarget, _ vcpu) (cpuLayout, error) {
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

// foundCPULayout puts together what the process itself tells, and what the
// built-in table has of the release that agrees with that best.
func (vm *VM) foundCPULayout(t cpuTarget, c vcpu) (cpuLayout, error) {
	releases, err := vm.cpuReleases(t)
	if err != nil {
		return cpuLayout{}, err
	}
	return vm.composeCPULayout(t, c, releases)
}

// composeCPULayout is foundCPULayout with the releases that come into question.
func (vm *VM) composeCPULayout(t cpuTarget, c vcpu, releases []cpuRelease) (cpuLayout, error) {
	f, err := vm.cpuFacts(t, c)
	if err != nil {
		return cpuLayout{}, err
	}
	common, err := f.commonRecord(releases, vm.envPointer(c))
	if err != nil {
		return cpuLayout{}, err
	}
	registers, err := f.registers(releases)
	if err != nil {
		return cpuLayout{}, err
	}
	vm.notes = append(vm.notes, f.notes...)
	table := ctype.MakeTable(f.name(), map[string]ctype.Record{"CPUState": common, t.env: registers, t.cpu: f.vcpu(releases)})
	return cpuLayout{layout{table, f.name(), true}, t.env, f.env}, nil
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

// cpuObject is a structure of a vCPU's.
func (vm *VM) cpuObject(l cpuLayout, a addr.HVA, typ string) (*cvalue.Object, error) {
	space := *vm.space
	space.Layouts = l.Layouts
	o := space.At(a, typ)
	return o, o.Err()
}
