// Package qemu finds the virtual machine in a stopped QEMU process: the
// FlatView of its memory, its RAM blocks, its machine and vCPUs, the guest's
// vmcoreinfo note. All knowledge of QEMU is here, none of it anywhere else.
//
// It reads the process through packages inferior and cvalue, and knows no
// output format: what it finds becomes a guest.Machine.
//
// QEMU's structures are read with the layouts of its own debug information
// or, without any, with a built-in table of the releases 2.11 to 11.1. Either
// is checked against what must hold in any QEMU before it is trusted.
package qemu

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/cvalue"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
	"guestcore/internal/objfile"
)

var (
	// ErrNotQEMU means that the process is not a QEMU system emulator, or
	// nothing of one could be found in it.
	ErrNotQEMU = errors.New("no QEMU guest found")
	// ErrNoLayout means that no layout of QEMU's structures, built-in or from
	// debug information, agrees with the process.
	ErrNoLayout = errors.New("no known layout of QEMU's structures fits")
	// ErrArch means that the guest does not have the architecture asked for,
	// or that it has to be named.
	ErrArch = errors.New("architecture")
)

// Source is where a VM is looked for.
type Source struct {
	Process inferior.Process
	// Live tells that the process has all of its memory still, as one that
	// lives and none in a core does.
	Live bool
	// Exe is QEMU's executable, nil when it is not at hand.
	Exe *objfile.File
	// Bias is what to add to Exe's addresses to have the process's.
	Bias addr.HVA
	// ExePath is the path QEMU's executable was mapped from.
	ExePath string
	// Symbols are addresses in the process that somebody else knows, gdb for
	// one. They are asked after Exe.
	Symbols map[string]addr.HVA
	// RAM are files that hold RAM blocks the process's own source lacks, by
	// the block's name.
	RAM map[string]*os.File
	// Layout is to be tried before what else tells of QEMU's structures, nil
	// for none.
	Layout *LayoutFile
	Log    *slog.Logger // nil: silent
}

// WantedSymbols are the globals of QEMU that [Open] uses when it can. The
// first one alone is enough for a dump.
var WantedSymbols = []string{symAddressSpaceMemory, symRAMList, symCurrentMachine, symCPUsQueue, symCPUs}

// VM is the virtual machine of a QEMU process. Its methods may not be called
// concurrently.
type VM struct {
	src   Source
	space *cvalue.Space

	// How it was found, for info symbols.
	layout  layout
	layouts []layout // all that came into question
	notes   []string // what was not used, and why
	globals map[string]Global

	addressSpace addr.HVA
	view         []FlatRange
	blocks       []*RAMBlock
	blockAt      map[addr.HVA]*RAMBlock
	host         *extent.Map[addr.HVA, addr.FileOff]
	files        []addr.Source

	typeNames  map[addr.HVA]string
	data       []segment
	scanned    map[uint64][]Global // by the offset of AddressSpace.name
	version    func() string
	machine    func() (*machineObject, error)
	vmcoreinfo func() (guestNote, error)
	cpus       func() ([]vcpu, error)
	memory     func() (*memory, error)
	// confidential is what [VM.findConfidential] found.
	confidential func() (confidential, error)
	cpuLayout    func() (cpuLayout, error)
	armInfos     func() map[string][][]uint64      // of system registers, by name
	ccNames      func() (map[uint32]string, error) // of x86's cc_op
	processTable func() (uint64, error)            // of a pseries machine
	accelerator  func() string                     // its name, "" if unknown
}

// Open finds the VM in a process. It reads structures only, no guest memory.
func Open(src Source) (*VM, error) {
	vm := newVM(src)
	if err := vm.findView(); err != nil {
		return nil, err
	}
	vm.findDiscards()
	if err := vm.placeBlocks(); err != nil {
		return nil, err
	}
	return vm, nil
}

// newVM is a VM of which nothing is known yet.
func newVM(src Source) *VM {
	if src.Log == nil {
		src.Log = slog.New(slog.DiscardHandler)
	}
	vm := &VM{
		src:     src,
		globals: map[string]Global{},
	}
	vm.version = sync.OnceValue(vm.findVersion)
	vm.machine = sync.OnceValues(vm.findMachine)
	vm.vmcoreinfo = sync.OnceValues(vm.findVMCoreInfo)
	vm.cpus = sync.OnceValues(vm.findCPUs)
	vm.memory = sync.OnceValues(vm.findMemory)
	vm.confidential = sync.OnceValues(vm.findConfidential)
	vm.cpuLayout = sync.OnceValues(vm.findCPULayout)
	vm.armInfos = sync.OnceValue(vm.findARMInfos)
	vm.accelerator = sync.OnceValue(vm.findAccelerator)
	vm.ccNames = sync.OnceValues(vm.findCCNames)
	vm.processTable = sync.OnceValues(vm.findProcessTable)
	return vm
}

// use sees the process's memory through a layout from now on.
func (vm *VM) use(l layout) {
	host := vm.src.Process.Host()
	vm.layout = l
	vm.space = &cvalue.Space{
		Mem:         vm.src.Process,
		Order:       host.Order,
		PointerSize: host.PointerSize(),
		Layouts:     l.Layouts,
	}
	vm.typeNames = map[addr.HVA]string{}
}

// try reads the memory of the guest whose AddressSpace is at a. It fails
// unless all that must hold in a QEMU does.
func (vm *VM) try(a addr.HVA) error {
	if err := vm.layout.checkRuns(walkRuns...); err != nil {
		return err
	}
	vm.blockAt, vm.blocks = map[addr.HVA]*RAMBlock{}, nil
	view, err := vm.readView(a)
	if err != nil {
		return err
	}
	if err := vm.readBlocks(view); err != nil {
		return err
	}
	vm.addressSpace, vm.view = a, view
	return nil
}

// findView finds address_space_memory and a layout that reads it, and keeps
// the first pair for which all that is known of QEMU holds.
func (vm *VM) findView() error {
	global, err := vm.global(symAddressSpaceMemory)
	var layoutErr error
	if vm.layouts, layoutErr = vm.candidates(global.Size); layoutErr != nil {
		return layoutErr
	}
	var failed []error
	for i, l := range vm.layouts {
		vm.use(l)
		found := []Global{global}
		if err != nil {
			found = vm.scanAddressSpaces()
		}
		for _, g := range found {
			err := vm.try(g.Addr)
			if err == nil {
				vm.globals[symAddressSpaceMemory] = g
				if i > 0 && vm.src.Layout != nil && len(failed) > 0 {
					vm.notes = append(vm.notes, fmt.Sprintf("the given %v", failed[0]))
				}
				vm.src.Log.Debug("layout accepted", "layout", l.Name, "from", g.From, "ranges", len(vm.view))
				return nil
			}
			vm.src.Log.Debug("layout refused", "layout", l.Name, "address", g.Addr, "reason", err)
			failed = append(failed, fmt.Errorf("layout %s: %w", l.Name, err))
		}
	}
	if len(failed) == 0 {
		return fmt.Errorf("%w: %s has no symbol %s, and no such object is in its data; is this a qemu-system process?",
			ErrNotQEMU, vm.src.ExePath, symAddressSpaceMemory)
	}
	if !vm.layout.Table {
		return fmt.Errorf("%w: not even its debug information's (%w): the process's memory is damaged there, or the executable is of another build",
			ErrNoLayout, failed[0])
	}
	return fmt.Errorf("%w (%d tried; the likeliest failed with: %w); QEMU's debug information would help: put its .debug file under a --debug-dir",
		ErrNoLayout, len(failed), failed[0])
}
