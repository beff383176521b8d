package qemu

import (
	"debug/elf"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// segment is a piece of the process's memory.
type segment struct {
	addr addr.HVA
	data []byte
}

const (
	// maxData bounds how much of QEMU's data is searched, bytes. Its .data and
	// .bss have a few MiB.
	maxData = 64 << 20
	// maxFound bounds the objects that are looked into.
	maxFound = 64
)

// programData reads QEMU's writable data: the writable mappings of its
// executable, and the anonymous one that goes on where each ends, its .bss.
func (vm *VM) programData() []segment {
	if vm.data != nil {
		return vm.data
	}
	p := vm.src.Process
	vm.data = []segment{}
	left := uint64(maxData)
	for _, m := range p.Files() {
		if m.Path != vm.src.ExePath || !writable(p, m.Start) {
			continue
		}
		end := m.End
		for {
			e, ok := p.Mappings().Find(end)
			if !ok || e.Kind != extent.Data || !writable(p, end) || uint64(e.End()-m.Start) > left {
				break
			}
			if _, ok := vm.fileAt(end); ok {
				break
			}
			end = e.End()
		}
		s := segment{m.Start, make([]byte, min(uint64(end-m.Start), left))}
		n, _ := p.ReadAt(s.data, int64(m.Start))
		s.data = s.data[:n]
		vm.data = append(vm.data, s)
		left -= uint64(n)
	}
	return vm.data
}

func writable(p inferior.Process, a addr.HVA) bool {
	flags, ok := p.Protection(a)
	return ok && flags&elf.PF_W != 0
}

// fileAt is the file mapping that holds an address.
func (vm *VM) fileAt(a addr.HVA) (inferior.FileMapping, bool) {
	for _, m := range vm.src.Process.Files() {
		if a >= m.Start && a < m.End {
			return m, true
		}
	}
	return inferior.FileMapping{}, false
}

// scanPointers calls f for each aligned word in QEMU's data that could be a
// pointer to data, until f returns true.
func (vm *VM) scanPointers(f func(slot, value addr.HVA) (stop bool)) {
	maps := vm.src.Process.Mappings()
	word := vm.space.PointerSize
	var last extent.Extent[addr.HVA, addr.FileOff] // most pointers lead into the heap
	for _, s := range vm.programData() {
		for i := 0; i+word <= len(s.data); i += word {
			v := addr.HVA(vm.space.Word(s.data[i:]))
			if v == 0 {
				continue
			}
			if v < last.Addr || v >= last.End() {
				e, ok := maps.Find(v)
				if !ok || e.Kind != extent.Data {
					continue
				}
				last = e
			}
			if f(s.addr+addr.HVA(i), v) {
				return
			}
		}
	}
}

// isStatic reports whether an address is in QEMU's executable or its data.
func (vm *VM) isStatic(a addr.HVA) bool {
	if m, ok := vm.fileAt(a); ok && m.Path == vm.src.ExePath {
		return true
	}
	for _, s := range vm.programData() {
		if a >= s.addr && a < s.addr+addr.HVA(len(s.data)) {
			return true
		}
	}
	return false
}

// scanAddressSpaces finds the AddressSpaces named "memory" in QEMU's data. On
// every QEMU tried there is exactly one, address_space_memory; whoever calls
// checks what it leads to.
func (vm *VM) scanAddressSpaces() []Global {
	as, err := vm.space.Layouts.Struct("AddressSpace")
	if err != nil {
		return nil
	}
	name, err := as.Field("name")
	if err != nil {
		return nil
	}
	if found, ok := vm.scanned[name.Offset]; ok { // most layouts agree on it
		return found
	}
	var found []Global
	vm.scanPointers(func(slot, value addr.HVA) bool {
		if s, err := vm.space.String(value, len("memory")+1); err == nil && s == "memory" {
			found = append(found, Global{
				Name: symAddressSpaceMemory,
				Addr: slot - addr.HVA(name.Offset),
				From: "found by its contents in the data of " + vm.src.ExePath,
			})
		}
		return len(found) == maxFound
	})
	if vm.scanned == nil {
		vm.scanned = map[uint64][]Global{}
	}
	vm.scanned[name.Offset] = found
	return found
}

// scanObject finds a pointer in QEMU's data to a QOM object of a type whose
// name ends in suffix and that accept agrees to. It returns the address of the
// pointer and of the object. Devices, machines and processors are from malloc,
// which aligns to two words, so most pointers need not be followed.
func (vm *VM) scanObject(suffix string, accept func(slot, object addr.HVA) bool) (slot, object addr.HVA, ok bool) {
	vm.scanPointers(func(s, v addr.HVA) bool {
		if v%addr.HVA(2*vm.space.PointerSize) != 0 || vm.isStatic(v) {
			return false
		}
		name, err := vm.typeName(v)
		if err != nil || !strings.HasSuffix(name, suffix) || !accept(s, v) {
			return false
		}
		slot, object, ok = s, v, true
		return true
	})
	return slot, object, ok
}
