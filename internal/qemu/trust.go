package qemu

import (
	"fmt"

	"guestcore/internal/cvalue"
	"guestcore/internal/guest"
)

// activity is what a vCPU was doing when its process stopped.
type activity int

const (
	unclear   activity = iota // the layout does not tell
	waiting                   // outside the guest's code, for QEMU's own business
	executing                 // the guest's code
	halted                    // the guest's processor waits for an interrupt
	stopped                   // the machine is paused
)

func (a activity) String() string {
	return [...]string{"", "waiting", "executing", "halted", "stopped"}[a]
}

// mayExecute reports whether the vCPU may have been executing.
func (a activity) mayExecute() bool { return a == executing || a == unclear }

// activityOf is what a CPUState says its vCPU does. CPUState.running is true
// from cpu_exec_start to cpu_exec_end, around the guest's code under every
// accelerator.
func activityOf(common *cvalue.Object) activity {
	switch {
	case common.Has("running") && common.Bool("running"):
		return executing
	case common.Has("halted") && common.Uint32("halted") != 0:
		return halted
	case common.Has("stopped") && common.Bool("stopped"):
		return stopped
	case common.Has("running"):
		return waiting
	}
	return unclear
}

// trust says how far the registers in a vCPU's structure can be relied on.
//
// TCG has all of them there whenever the vCPU does not execute: a guest that
// was stopped, a processor that waits. While it executes, TCG's code has some
// in the host's registers, and stores them at each jump, before each access to
// memory that may fault and before each call into QEMU. Two are stored less
// often: the program counter where a block of code begins, before 8.0 not even
// there if blocks are chained, and what x86's flags are computed from where it
// ends. So the state is one of the near past, and these two may be of before;
// lags names them.
//
// Other accelerators have the registers in the host's kernel. CPUState.vcpu_dirty
// says that QEMU has fetched them and the processor has not run since.
func trust(common *cvalue.Object, doing activity, accelerator, lags string) (guest.Trust, string) {
	const synced = "as TCG last stored them: the vCPU %s the guest's code, its %s may lag behind the rest"
	switch {
	case accelerator == "tcg" && doing == executing:
		return guest.Valid, fmt.Sprintf(synced, "was executing", lags)
	case accelerator == "tcg" && doing == unclear:
		return guest.Valid, fmt.Sprintf(synced, "may have been executing", lags)
	case accelerator == "tcg" || accelerator == "qtest": // qtest executes nothing
		return guest.Valid, ""
	case common.Has("vcpu_dirty") && common.Bool("vcpu_dirty"):
		return guest.Valid, ""
	case accelerator == "":
		return guest.Stale, "which accelerator the guest ran under is not known"
	default:
		return guest.Stale, fmt.Sprintf("the guest ran on in %s, which had newer ones", accelerator)
	}
}

// findAccelerator is the name of the accelerator, "" if unknown.
func (vm *VM) findAccelerator() string {
	obj, err := vm.machine()
	if err != nil {
		return ""
	}
	name, err := obj.accelerator()
	if err != nil {
		return ""
	}
	return name
}
