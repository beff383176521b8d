package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
)

// findProcessTable finds where the guest of a pseries machine has told its hypervisor,
// which is QEMU, that its process table is (H_REGISTER_PROC_TBL):
// SpaprMachineState.patb_entry (include/hw/ppc/spapr.h, 2.9 and newer), in the
// form of the second doubleword of a partition table's entry.
func (vm *VM) findProcessTable() (uint64, error) {
	machine, err := vm.machine()
	if err != nil {
		return 0, err
	}
	size, ok := vm.isA(machine.addr, "spapr-machine")
	if !ok {
		return 0, fmt.Errorf("%s is no pseries machine", machine.typ)
	}
	const member = "patb_entry"
	for _, name := range []string{"SpaprMachineState", "sPAPRMachineState"} { // since 4.0, and before
		if o := vm.space.At(machine.addr, name); !vm.layout.Table && o.Has(member) {
			v := o.Uint64(member)
			return v, o.Err()
		}
	}
	place, err := vm.migratedWord(member, size)
	if err != nil {
		return 0, err
	}
	v, err := vm.space.Pointer(machine.addr + addr.HVA(place))
	return uint64(v), err
}

// migratedWord is the offset of a member of 8 bytes in an object of size bytes,
// by the VMState table which has it alone: such tables are not exported, but
// its name is next to its place.
func (vm *VM) migratedWord(member string, size uint64) (uint64, error) {
	offset, found := uint64(0), false
	for _, a := range vm.named([]string{member})[member] {
		for _, form := range vmstateForms {
			r := vmstateReader{vm: vm, form: form}
			f, err := r.field(a)
			if err != nil || f.place.Size != 8 || f.place.Count != 0 || f.flags != vmsSingle || f.place.Offset%8 != 0 || f.place.Offset > size-8 {
				continue
			}
			if end, err := r.field(a + addr.HVA(form.stride)); err != nil || end.name != "" {
				continue
			}
			if found && offset != f.place.Offset {
				return 0, fmt.Errorf("VMState has more than one %s", member)
			}
			offset, found = f.place.Offset, true
		}
	}
	if !found {
		return 0, errors.New("no VMState table has " + member)
	}
	return offset, nil
}
