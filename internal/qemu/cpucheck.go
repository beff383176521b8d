package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/cvalue"
)

// checkCPUs holds a layout of vCPUs against what is true of any QEMU, whatever
// guest it runs. A layout that fails is not used.
func (vm *VM) checkCPUs(l cpuLayout, t cpuTarget) error {
	cpus, err := vm.cpus()
	if err != nil {
		return err
	}
	if err := vm.checkStates(l, cpus); err != nil {
		return err
	}
	if t.check == nil {
		return nil
	}
	for i, c := range cpus {
		env, err := vm.cpuObject(l, c.Addr+addr.HVA(l.Env), l.EnvType)
		if err == nil {
			err = t.check(env)
		}
		if err == nil {
			err = env.Err()
		}
		if err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
	}
	return nil
}

// checkStates checks the CPUStates: their threads are threads of the process,
// and they are numbered.
func (vm *VM) checkStates(l cpuLayout, cpus []vcpu) error {
	threads := map[uint32]bool{}
	for _, t := range vm.src.Process.Threads() {
		threads[uint32(t.OwnTID())] = true
	}
	numbers := map[uint32]bool{}
	for i, c := range cpus {
		s, err := vm.cpuObject(l, c.Addr, "CPUState")
		if err != nil {
			return err
		}
		halted := s.Uint32("halted")
		thread, number := uint32(0), uint32(i)
		if s.Has("thread_id") {
			thread = s.Uint32("thread_id")
		}
		if s.Has("cpu_index") {
			number = s.Uint32("cpu_index")
		}
		for _, flag := range []string{"created", "stop", "stopped", "vcpu_dirty"} {
			if s.Has(flag) {
				s.Bool(flag)
			}
		}
		if err := s.Err(); err != nil {
			return fmt.Errorf("vCPU %d: %w", i, err)
		}
		if len(threads) > 0 && !threads[thread] && s.Has("thread_id") {
			return fmt.Errorf("vCPU %d: its thread_id is %d, no thread of the process", i, thread)
		}
		if halted > 1 {
			return fmt.Errorf("vCPU %d: its halted is %d, neither 0 nor 1", i, halted)
		}
		if numbers[number] || number >= maxVCPUs {
			return fmt.Errorf("vCPU %d: its cpu_index is %d, which cannot be", i, number)
		}
		numbers[number] = true
	}
	return nil
}

// claims gathers what does not hold.
type claims struct {
	env  *cvalue.Object
	errs []error
}

// that notes what is wrong unless ok.
func (c *claims) that(ok bool, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

// value is a member by path, of any size.
func (c *claims) value(path string) uint64 { return c.env.Uint(path) }

// known reports whether the layout has all of the members.
func (c *claims) known(paths ...string) bool {
	for _, p := range paths {
		if !c.env.Has(p) {
			return false
		}
	}
	return true
}

func (c *claims) err() error { return errors.Join(c.errs...) }

// canonical reports whether an address is one of x86's 57 bits, sign-extended.
func canonical(a uint64) bool { return int64(a)<<7>>7 == int64(a) }
