package qemu

import (
	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

// x86Facts finds X86CPU.apic_state, which points to the vCPU's child "lapic",
// as QOM's properties have it.
func x86Facts(vm *VM, c vcpu, f *cpuFacts) {
	properties, err := vm.properties(c.Addr)
	if err != nil {
		return
	}
	child, ok := properties["lapic"]
	if !ok {
		return
	}
	for _, at := range opaqueForms {
		lapic, err := vm.space.Pointer(child + at)
		if err != nil || lapic == 0 {
			continue
		}
		if _, ok := vm.isA(lapic, "apic-common"); !ok {
			continue
		}
		p := make([]byte, f.whole-f.common)
		if _, err := vm.space.Mem.ReadAt(p, int64(c.Addr+addr.HVA(f.common))); err != nil {
			return
		}
		word := vm.space.PointerSize
		for i := 0; i+word <= len(p); i += word {
			if addr.HVA(vm.space.Word(p[i:])) == lapic {
				f.own["apic_state"] = ctype.Place{Offset: f.common + uint64(i), Size: uint64(word)}
				return
			}
		}
	}
}
