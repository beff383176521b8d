package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
)

const (
	maxVCPUs   = 65_536
	maxCPUSize = 1 << 20 // sizeof any CPU object is below 256 KiB
)

// vcpu is a virtual processor.
type vcpu struct {
	Addr addr.HVA // of its CPUState
	Type string   // QOM type: "qemu64-x86_64-cpu"
}

// findCPUs walks the list of vCPUs: the global cpus_queue (cpus before 8.2) or
// whatever in QEMU's data is the head of such a list.
func (vm *VM) findCPUs() ([]vcpu, error) {
	for _, name := range []string{symCPUsQueue, symCPUs} {
		if g, err := vm.global(name); err == nil {
			first, err := vm.space.Pointer(g.Addr)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if first == 0 {
				return nil, errors.New("the machine has no vCPUs")
			}
			return vm.walkCPUs(g.Addr, first)
		}
	}
	head, first, ok := vm.scanObject("-cpu", func(slot, v addr.HVA) bool {
		_, err := vm.cpuLink(slot, v)
		return err == nil
	})
	if !ok {
		return nil, errors.New("no list of vCPUs in QEMU's data")
	}
	vm.globals[symCPUs] = Global{Name: symCPUs, Addr: head, From: "found by its contents in the data of " + vm.src.ExePath}
	return vm.walkCPUs(head, first)
}

// cpuLink finds the offset of CPUState.node, the link of the list. It moves
// with QEMU's configuration, but is known by its second word, which in the
// first element points back to the head (QTAILQ, qemu/queue.h).
func (vm *VM) cpuLink(head, first addr.HVA) (addr.HVA, error) {
	typ := vm.space.At(first, "Object").Deref("class", "ObjectClass").Deref("type", "TypeImpl")
	size := typ.Ulong("instance_size")
	if err := typ.Err(); err != nil {
		return 0, err
	}
	if size > maxCPUSize {
		return 0, fmt.Errorf("a vCPU of %d bytes cannot be", size)
	}
	p := make([]byte, size)
	if _, err := vm.space.Mem.ReadAt(p, int64(first)); err != nil {
		return 0, fmt.Errorf("vCPU at %#x: %w", uint64(first), err)
	}
	word := vm.space.PointerSize
	for off := 0; off+2*word <= len(p); off += word {
		if addr.HVA(vm.space.Word(p[off+word:])) == head {
			return addr.HVA(off), nil
		}
	}
	return 0, fmt.Errorf("vCPU at %#x is not linked to its list", uint64(first))
}

func (vm *VM) walkCPUs(head, first addr.HVA) ([]vcpu, error) {
	node, err := vm.cpuLink(head, first)
	if err != nil {
		return nil, err
	}
	word := addr.HVA(vm.space.PointerSize)
	var cpus []vcpu
	back := head
	for a := first; a != 0; {
		typ, err := vm.typeName(a)
		if err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", len(cpus), err)
		}
		prev, err := vm.space.Pointer(a + node + word)
		if err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", len(cpus), err)
		}
		if prev != back || len(cpus) == maxVCPUs {
			return nil, fmt.Errorf("vCPU %d at %#x: the list of vCPUs is broken", len(cpus), uint64(a))
		}
		cpus = append(cpus, vcpu{Addr: a, Type: typ})
		back = a + node
		if a, err = vm.space.Pointer(a + node); err != nil {
			return nil, fmt.Errorf("vCPU %d: %w", len(cpus), err)
		}
	}
	return cpus, nil
}
