package qemu

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
	"guestcore/internal/objfile"
)

// Machine is what is known of the whole machine. Empty fields are not known.
type Machine struct {
	Version     string `json:"qemu_version,omitempty"` // "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"
	Type        string `json:"machine,omitempty"`      // QOM type without "-machine": "pc-q35-7.2"
	Accelerator string `json:"accelerator,omitempty"`  // "tcg", "kvm"
	Arch        string `json:"arch,omitempty"`         // as the dump command takes it
	CPUType     string `json:"cpu_type,omitempty"`     // QOM type of the first vCPU
	CPUs        int    `json:"vcpus,omitempty"`
	RAM         uint64 `json:"ram,omitempty"` // -m, bytes
	// Confidential is the QOM type of what keeps the guest's memory from its
	// host: "sev-guest"; "" in an ordinary guest.
	Confidential string `json:"confidential,omitempty"`
	// Notes say why something is not known, and what is peculiar.
	Notes []string `json:"notes,omitempty"`
}

// Machine describes the machine.
func (vm *VM) Machine() Machine {
	m := Machine{Version: vm.version()}
	note := func(what string, err error) { m.Notes = append(m.Notes, fmt.Sprintf("%s is not known: %v", what, err)) }
	if m.Version == "" {
		note("the version of QEMU", errors.New("its executable is not at hand or does not tell"))
	}
	if obj, err := vm.machine(); err != nil {
		note("the machine", err)
	} else {
		m.Type = strings.TrimSuffix(obj.typ, "-machine")
		if m.Accelerator, err = obj.accelerator(); err != nil {
			note("the accelerator", err)
		}
		if m.RAM, err = obj.ramSize(); err != nil {
			note("the size of RAM", err)
		}
	}
	if c, err := vm.confidential(); err == nil && c.typ != "" {
		m.Confidential = c.typ
		if what := fmt.Sprintf("the guest is confidential: %v", c); c.active() {
			m.Notes = append(m.Notes, what)
		} else {
			m.Notes = append(m.Notes, fmt.Sprintf("%s; not so under %s, which knows nothing of it", what, c.accel))
		}
	}
	if cpus, err := vm.cpus(); err != nil {
		note("the number of vCPUs", err)
	} else {
		m.CPUs, m.CPUType = len(cpus), cpus[0].Type
	}
	if g, warning, err := vm.Arch(""); err != nil {
		note("the architecture", err)
	} else {
		m.Arch = g.Name
		if warning != "" {
			m.Notes = append(m.Notes, warning)
		}
	}
	return m
}

// findVersion is the version QEMU prints of itself, "" if unknown. The string
// is only in the executable: read-only data is not in a core.
func (vm *VM) findVersion() string {
	if vm.src.Exe == nil {
		return ""
	}
	return programVersion(vm.src.Exe)
}

// programVersion is the version that a QEMU's executable has in its text. Where
// linkers do not keep constants apart, as for hosts other than x86, it is among
// the code.
func programVersion(exe *objfile.File) string {
	for _, flags := range []elf.ProgFlag{elf.PF_R, elf.PF_R | elf.PF_X} {
		if v := segmentVersion(exe, flags); v != "" {
			return v
		}
	}
	return ""
}

// segmentVersion looks for it in the segments with these flags.
func segmentVersion(exe *objfile.File, flags elf.ProgFlag) string {
	const prefix = "QEMU emulator version "
	buf := make([]byte, 1<<20)
	for _, s := range exe.Segments() {
		if s.Type != elf.PT_LOAD || s.Flags != flags {
			continue
		}
		// Pieces overlap, so that no string is cut where they meet.
		for off := uint64(0); off < s.Filesz; off += uint64(len(buf)) - maxName {
			piece := buf[:min(uint64(len(buf)), s.Filesz-off)]
			n, _ := exe.ReadVaddr(piece, s.Vaddr+off)
			if _, rest, ok := bytes.Cut(piece[:n], []byte(prefix)); ok {
				line, _, _ := bytes.Cut(rest[:min(len(rest), maxName)], []byte{0})
				text, _, _ := strings.Cut(string(line), "\n")
				return strings.TrimSpace(text)
			}
		}
	}
	return ""
}

// machineObject is QEMU's current_machine.
type machineObject struct {
	vm   *VM
	addr addr.HVA
	typ  string // QOM type
	size uint64 // sizeof(MachineState)
	// layouts are those with a MachineState of that size. The built-in ones
	// can be several: a memory walk does not tell all releases apart.
	layouts []ctype.Layouts
}

// findMachine finds current_machine, by its symbol or among the objects that
// QEMU's data points to.
func (vm *VM) findMachine() (*machineObject, error) {
	m := &machineObject{vm: vm}
	if g, err := vm.global(symCurrentMachine); err == nil {
		if m.addr, err = vm.space.Pointer(g.Addr); err != nil {
			return nil, fmt.Errorf("%s: %w", symCurrentMachine, err)
		}
	} else {
		slot, object, ok := vm.scanObject("-machine", func(_, v addr.HVA) bool {
			_, ok := vm.isA(v, "machine")
			return ok
		})
		if !ok {
			return nil, errors.New("no machine object in QEMU's data")
		}
		vm.globals[symCurrentMachine] = Global{Name: symCurrentMachine, Addr: slot, From: "found by its contents in the data of " + vm.src.ExePath}
		m.addr = object
	}
	var ok bool
	var err error
	if m.typ, err = vm.typeName(m.addr); err != nil {
		return nil, fmt.Errorf("%s: %w", symCurrentMachine, err)
	}
	if m.size, ok = vm.isA(m.addr, "machine"); !ok {
		return nil, fmt.Errorf("%s is a %q, not a machine", symCurrentMachine, m.typ)
	}
	m.layouts, err = vm.machineLayouts(m.size)
	return m, err
}

// machineLayouts are the layouts of a MachineState of a size in bytes: that of
// the debug information, or all of tables that can be and agree with the memory
// walk.
func (vm *VM) machineLayouts(size uint64) ([]ctype.Layouts, error) {
	if !vm.layout.Table {
		return []ctype.Layouts{vm.layout.Layouts}, nil
	}
	var out []ctype.Layouts
	for _, l := range vm.layouts {
		if ms, err := l.Struct("MachineState"); err == nil && ms.Size == size && l.Name == vm.layout.Name && l.checkRuns("MachineState") == nil {
			out = append(out, l.Layouts)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no layout has such a MachineState of %d bytes", size)
	}
	return out, nil
}

// read reads the MachineState with each layout that can be. They must agree;
// one that reads what cannot be does not count.
func (m *machineObject) read(f func(*cvalue.Object) (uint64, error)) (uint64, error) {
	var value uint64
	var failed error
	agreed := false
	for _, l := range m.layouts {
		space := *m.vm.space
		space.Layouts = l
		o := space.At(m.addr, "MachineState")
		v, err := f(o)
		if err == nil {
			err = o.Err()
		}
		if err != nil {
			failed = err
			continue
		}
		if agreed && v != value {
			return 0, errors.New("the built-in layouts that fit do not agree on it")
		}
		value, agreed = v, true
	}
	if !agreed {
		return 0, failed
	}
	return value, nil
}

// dumpGuestCore is -machine dump-guest-core.
func (m *machineObject) dumpGuestCore() (bool, error) {
	v, err := m.read(func(o *cvalue.Object) (uint64, error) {
		if _, err := m.checkedRAM(o); err != nil { // the layout is wrong
			return 0, err
		}
		if o.Bool("dump_guest_core") {
			return 1, nil
		}
		return 0, nil
	})
	return v == 1, err
}

// ramSize is the size of RAM the machine was started with, bytes.
func (m *machineObject) ramSize() (uint64, error) { return m.read(m.checkedRAM) }

// checkedRAM is MachineState.ram_size if it can be that: there is so much RAM.
// A board with RAM of its own takes no notice of -m; then both sizes are what -m
// says, or its default, in whole MiB.
func (m *machineObject) checkedRAM(o *cvalue.Object) (uint64, error) {
	var blocks uint64
	for _, b := range m.vm.blocks {
		blocks += b.MaxLength
	}
	size, most := o.Ulong("ram_size"), o.Ulong("maxram_size")
	ignored := size == most && size%(1<<20) == 0
	if o.Err() == nil && (size == 0 || size%1024 != 0 || size > most || size > blocks && !ignored) {
		return 0, fmt.Errorf("ram_size %#x and maxram_size %#x cannot be", size, most)
	}
	return size, nil
}

// accelerator is the name of the accelerator that the machine points to:
// MachineState.accelerator, a QOM object of a type like "tcg-accel".
func (m *machineObject) accelerator() (string, error) {
	accel := ""
	err := m.pointers(func(p addr.HVA) bool {
		if name, err := m.vm.typeName(p); err == nil && strings.HasSuffix(name, "-accel") {
			accel = strings.TrimSuffix(name, "-accel")
		}
		return accel != ""
	})
	if err == nil && accel == "" {
		err = errors.New("the machine points to none")
	}
	return accel, err
}

// pointers calls f for each word of the MachineState that is not 0, until f
// returns true.
func (m *machineObject) pointers(f func(addr.HVA) (stop bool)) error {
	word := uint64(m.vm.space.PointerSize)
	for off := uint64(0); off+word <= m.size; off += word {
		p, err := m.vm.space.Pointer(m.addr + addr.HVA(off))
		if err != nil {
			return err
		}
		if p != 0 && f(p) {
			return nil
		}
	}
	return nil
}
