package qemu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
	"guestcore/internal/guest"
)

// reader reads the registers of a vCPU from QEMU's structure of them.
type reader struct {
	suffix string // of the vCPU's QOM type
	read   func(vm *VM, env *cvalue.Object) (arch.State, error)
	lags   string // what TCG stores less often than the rest, see [trust]
}

var readers = []reader{
	{"-x86_64-cpu", readX86, "RIP and arithmetic flags"},
	{"-i386-cpu", readX86, "EIP and arithmetic flags"},
	{"-arm-cpu", readARM, "PC"},
	{"-riscv-cpu", readRISCV, "pc"},
	{"-loongarch-cpu", readLoongArch, "PC"},
	{"-s390x-cpu", readS390X, "PSW (address and condition code)"},
	{"-powerpc64-cpu", readPPC64, "NIP"},
}

func readerOf(c vcpu) (reader, error) {
	i := slices.IndexFunc(readers, func(r reader) bool { return strings.HasSuffix(c.Type, r.suffix) })
	if i < 0 {
		return reader{}, fmt.Errorf("nothing reads the registers of a %s", c.Type)
	}
	return readers[i], nil
}

// state reads the registers of a vCPU as they lie in its structure.
func (vm *VM) state(c vcpu) (arch.State, error) {
	r, err := readerOf(c)
	if err != nil {
		return nil, err
	}
	env, err := vm.env(c)
	if err != nil {
		return nil, err
	}
	return r.read(vm, env)
}

// threadByOwn is the thread that QEMU knows by a number, which in a container is
// another one than from outside.
func (vm *VM) threadByOwn(own int) int {
	for _, t := range vm.src.Process.Threads() {
		if t.OwnTID() == own {
			return t.TID
		}
	}
	return own
}

// CPUs reads the registers of all vCPUs, in the order of their numbers. What
// is wrong with one vCPU is its Reason; an error means that there are none to
// be found.
func (vm *VM) CPUs() ([]guest.CPU, error) {
	cpus, err := vm.cpus()
	if err != nil {
		return nil, fmt.Errorf("vCPUs: %w", err)
	}
	var out []guest.CPU
	numbers := map[int]bool{}
	for i, c := range cpus {
		g := vm.guestCPU(i, c)
		out, numbers[g.Index] = append(out, g), true
	}
	if len(numbers) < len(out) { // the layout is wrong, and with it all that was read
		for i := range out {
			out[i] = guest.CPU{Index: i, Reason: "the layout of vCPUs gives two of them the same number"}
		}
	}
	slices.SortFunc(out, func(a, b guest.CPU) int { return cmp.Compare(a.Index, b.Index) })
	return out, nil
}

// guestCPU reads one vCPU, which has the number i unless QEMU says otherwise.
func (vm *VM) guestCPU(i int, c vcpu) guest.CPU {
	g := guest.CPU{Index: i}
	fail := func(err error) guest.CPU {
		g.State, g.Trust, g.Reason = nil, guest.Unknown, err.Error()
		return g
	}
	r, err := readerOf(c)
	if err != nil {
		return fail(err)
	}
	common, err := vm.cpuState(c)
	if err != nil {
		return fail(err)
	}
	if common.Has("cpu_index") {
		g.Index = int(common.Uint32("cpu_index"))
	}
	if common.Has("thread_id") {
		g.Thread = vm.threadByOwn(int(common.Uint32("thread_id")))
	}
	doing := activityOf(common)
	g.Activity = doing.String()
	g.Trust, g.Reason = trust(common, doing, vm.accelerator(), r.lags)
	if !common.Has("cpu_index") {
		g.Reason = strings.TrimPrefix(g.Reason+"; its number is its place in QEMU's list, as its CPUState is unlike any known", "; ")
	}
	if err := common.Err(); err != nil {
		g.Index = i
		return fail(err)
	}
	if g.State, err = vm.state(c); err != nil {
		return fail(err)
	}
	if s, ok := g.State.(*arch.X86); ok && doing.mayExecute() && vm.accelerator() == "tcg" {
		if s.RFLAGS, err = vm.x86Flags(c); err != nil {
			g.Reason += fmt.Sprintf("; its arithmetic flags are not known: %v", err)
		}
	}
	if s, ok := g.State.(*arch.S390X); ok && vm.accelerator() == "tcg" {
		if err := vm.s390Condition(c, s); err != nil {
			g.Reason = strings.TrimPrefix(g.Reason+fmt.Sprintf("; its condition code is not known: %v", err), "; ")
		}
	}
	return g
}
