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
		_, err := vm.walkCPUs(slot, v)
		return err == nil
	})
	if !ok {
		return nil, errors.New("no list of vCPUs in QEMU's data")
	}
	vm.globals[symCPUs] = Global{Name: symCPUs, Addr: head, From: "found by its contents in the data of " + vm.src.ExePath}
	return vm.walkCPUs(head, first)
}

// walkCPUs walks the list at head. The offset of CPUState.node, its link, moves
// with QEMU's configuration, but is known by its second word, which in the
// first element points back to the head (QTAILQ, qemu/queue.h). Other words may
// do so too: registers that setjmp saved in CPUState.jmp_env.
func (vm *VM) walkCPUs(head, first addr.HVA) ([]vcpu, error) {
	links, err := vm.cpuLinks(head, first)
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("vCPU at %#x is not linked to its list", uint64(first))
	for _, node := range links {
		var cpus []vcpu
		if cpus, err = vm.walkCPUsBy(node, head, first); err == nil {
			return cpus, nil
		}
	}
	return nil, err
}

// cpuLinks are the offsets at which CPUState.node may be.
func (vm *VM) cpuLinks(head, first addr.HVA) ([]addr.HVA, error) {
	typ := vm.space.At(first, "Object").Deref("class", "ObjectClass").Deref("type", "TypeImpl")
	size := typ.Ulong("instance_size")
	if err := typ.Err(); err != nil {
		return nil, err
	}
	if size > maxCPUSize {
		return nil, fmt.Errorf("a vCPU of %d bytes cannot be", size)
	}
	p := make([]byte, size)
	if _, err := vm.space.Mem.ReadAt(p, int64(first)); err != nil {
		return nil, fmt.Errorf("vCPU at %#x: %w", uint64(first), err)
	}
	var links []addr.HVA
	word := vm.space.PointerSize
	for off := 0; off+2*word <= len(p); off += word {
		if addr.HVA(vm.space.Word(p[off+word:])) == head {
			links = append(links, addr.HVA(off))
		}
	}
	return links, nil
}

// walkCPUsBy walks the list by the link at an offset. The second word of the
// head is the address of the link of the last vCPU.
func (vm *VM) walkCPUsBy(node, head, first addr.HVA) ([]vcpu, error) {
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
	if last, err := vm.space.Pointer(head + word); err != nil || last != back {
		return nil, fmt.Errorf("the list of vCPUs at %#x has %d vCPUs and does not end with the last", uint64(head), len(cpus))
	}
	return cpus, nil
}
