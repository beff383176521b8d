package qemu

import (
	"fmt"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/objfile"
)

// QEMU's globals that are of use here. All of them are exported by a QEMU
// built with modules, as the distributions' are.
const (
	symAddressSpaceMemory = "address_space_memory" // AddressSpace
	symRAMList            = "ram_list"             // RAMList
	symCurrentMachine     = "current_machine"      // MachineState *
	symCPUsQueue          = "cpus_queue"           // QTAILQ of CPUState, 8.2 and newer
	symCPUs               = "cpus"                 // the same, before 8.2
	symVMStateCommon      = "vmstate_cpu_common"   // VMStateDescription of CPUState
)

// Global is a global variable of QEMU.
type Global struct {
	Name string   `json:"name"`
	Addr addr.HVA `json:"address"` // in the process
	Size uint64   `json:"size,omitempty"`
	From string   `json:"from"` // the symbol table that named it, gdb, or how it was found
}

// global finds a global by name, in the executable's symbols or in those that
// came with the source.
func (vm *VM) global(name string) (Global, error) {
	if g, ok := vm.globals[name]; ok {
		return g, nil
	}
	err := error(objfile.ErrNoSymbol)
	if vm.src.Exe != nil {
		var s objfile.Symbol
		if s, err = vm.src.Exe.Lookup(name); err == nil {
			g := Global{name, vm.src.Bias + addr.HVA(s.Value), s.Size, s.From.Section + " of " + s.From.File}
			vm.globals[name] = g
			return g, nil
		}
	}
	if a, ok := vm.src.Symbols[name]; ok {
		g := Global{Name: name, Addr: a, From: "gdb"}
		vm.globals[name] = g
		return g, nil
	}
	return Global{}, fmt.Errorf("symbol %s: %w", name, err)
}

// Globals lists the globals used so far, in the order of [WantedSymbols].
func (vm *VM) Globals() []Global {
	var out []Global
	for _, name := range slices.Concat(WantedSymbols, []string{nameVMCoreInfo}) {
		if g, ok := vm.globals[name]; ok {
			out = append(out, g)
		}
	}
	return out
}

// Layout says where the layouts of QEMU's structures came from.
func (vm *VM) Layout() string { return vm.layout.Name }

// Notes say what could have been used and was not, and why.
func (vm *VM) Notes() []string { return vm.notes }
