package qemu

import (
	"fmt"

	"guestcore/internal/addr"
)

const (
	typeS390Machine = "s390-ccw-machine" // QOM type that all machines of s390x inherit from
	typeS390Guest   = "s390-pv-guest"    // of the object that allows protected mode, since 6.0
)

// s390Protected reports whether a machine of s390x runs in protected mode now:
// a guest asks for that while it boots, with an object for it or without, and
// leaves it when it is reset. known is false of other machines.
//
// S390CcwMachineState.pv says so (include/hw/s390x/s390-virtio-ccw.h, since
// 5.0), the third byte behind MachineState, a bool. Before, there was a letter
// of loadparm, which is never 1.
func (vm *VM) s390Protected(m *machineObject) (protected, known bool, err error) {
	whole, ok := vm.isA(m.addr, typeS390Machine)
	if !ok {
		return false, false, nil
	}
	at := m.size + 2
	if s, err := vm.layout.Struct("S390CcwMachineState"); err == nil && s.Has("pv") {
		f, err := s.Field("pv")
		if err != nil {
			return false, true, err
		}
		at = f.Offset
	}
	if at >= whole {
		return false, true, fmt.Errorf("a machine of s390x has %d bytes", whole)
	}
	var pv [1]byte
	if _, err := vm.space.Mem.ReadAt(pv[:], int64(m.addr+addr.HVA(at))); err != nil {
		return false, true, fmt.Errorf("protected mode of the machine at %#x: %w", uint64(m.addr), err)
	}
	return pv[0] == 1, true, nil
}
