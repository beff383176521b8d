package qemu

import (
	"testing"

	"guestcore/test/rig"
)

// VMState tells in all releases where QEMU keeps the guest's process table, and
// tells what debug information does.
func TestProcessTable(t *testing.T) {
	for _, build := range []rig.Build{rig.Bullseye, rig.Stock, rig.Dwarf, rig.Trixie, rig.Sid} {
		t.Run(string(build), func(t *testing.T) {
			f := programGuest(t, build, "ppc64", "registers", rig.PPC64Program(true))
			vm, err := Open(realSource(t, f, f.QEMU.Exe))
			if err != nil {
				t.Fatal(err)
			}
			if table, err := vm.processTable(); err != nil || table != 0 { // the program has not told of any
				t.Errorf("process table %#x, %v", table, err)
			}
			machine, err := vm.machine()
			if err != nil {
				t.Fatal(err)
			}
			size, _ := vm.isA(machine.addr, "spapr-machine")
			offset, err := vm.migratedWord("patb_entry", size)
			if err != nil || offset <= machine.size {
				t.Fatalf("patb_entry at %d, %v; a MachineState, which it is behind, has %d bytes", offset, err, machine.size)
			}
			if build != rig.Dwarf {
				return
			}
			if want, ok := vm.space.At(machine.addr, "SpaprMachineState").Field("patb_entry"); !ok || offset != want.Offset {
				t.Errorf("patb_entry at %d, debug information has it at %d", offset, want.Offset)
			}
		})
	}
}
