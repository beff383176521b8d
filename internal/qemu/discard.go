package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
)

// A MemoryRegion with a RamDiscardManager (MemoryRegion.rdm, 6.1) is RAM of
// which the guest has parts only: what virtio-mem has plugged, what a
// confidential guest shares with its host. In 6.1 to 10.2 rdm is the object
// that knows them, cast to an interface, which leaves a pointer as it is
// (qom/object.c). Since 11.0 it is an object of its own that lists such
// objects, its sources (include/system/ram-discard-manager.h).

// QOM types.
const (
	typeDiscardManager = "ram-discard-manager"  // an interface before 11.0, then an object
	typeVirtioMem      = "virtio-mem"           // 5.1
	typeRAMAttributes  = "ram-block-attributes" // 10.1
)

// maxSources bounds the list of a manager's sources; there are one or two.
const maxSources = 16

// findDiscards finds out which parts of each block the guest has. What cannot
// be found out is noted, and the whole block is taken for memory: that loses
// nothing.
func (vm *VM) findDiscards() {
	seen := map[*RAMBlock]bool{}
	for _, r := range vm.view {
		b := r.Block
		if b == nil || r.Region.Discards == 0 || seen[b] {
			continue
		}
		seen[b] = true
		if err := vm.readDiscards(r); err != nil {
			vm.notes = append(vm.notes, fmt.Sprintf("RAM block %q: the guest has only parts of it, and which could not be read (%v): "+
				"all of it is taken for memory, with zeros or old contents where the guest has none", b.Name, err))
		}
	}
}

// readDiscards asks all sources of a range's region.
func (vm *VM) readDiscards(r FlatRange) error {
	sources, err := vm.discardSources(r.Region)
	if err != nil {
		return err
	}
	for _, s := range sources {
		if _, ok := vm.isA(s, typeVirtioMem); ok {
			r.Block.VirtioMem, err = vm.readVirtioMem(s, r)
		} else {
			r.Block.shared, err = vm.readRAMAttributes(s, r.Block)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// discardSources are the objects that know which parts of a region the guest
// has.
func (vm *VM) discardSources(reg *Region) ([]addr.HVA, error) {
	rdm := reg.Discards
	if vm.isDiscardSource(rdm) {
		return []addr.HVA{rdm}, nil
	}
	size, ok := vm.isA(rdm, typeDiscardManager)
	if !ok {
		typ, err := vm.typeName(rdm)
		if err != nil {
			return nil, fmt.Errorf("its %s: %w", typeDiscardManager, err)
		}
		return nil, fmt.Errorf("a %q is not known here", typ)
	}
	own, ok := vm.isA(rdm, "object")
	if !ok || own > size || size > 4096 {
		return nil, fmt.Errorf("a %s of %d bytes cannot be", typeDiscardManager, size)
	}
	// The members behind Object are the region, and the source or the head of
	// a list of entries: a source, then the link to the next entry.
	var sources []addr.HVA
	ofRegion := false
	word := addr.HVA(vm.space.PointerSize)
	for at := rdm + addr.HVA(own); at+word <= rdm+addr.HVA(size); at += word {
		p, err := vm.space.Pointer(at)
		if err != nil {
			return nil, err
		}
		switch {
		case p == reg.Addr:
			ofRegion = true
		case vm.isDiscardSource(p):
			sources = append(sources, p)
		}
		for entry := p; entry != 0 && len(sources) < maxSources; {
			s, err := vm.space.Pointer(entry)
			if err != nil || !vm.isDiscardSource(s) {
				break
			}
			sources = append(sources, s)
			if entry, err = vm.space.Pointer(entry + word); err != nil {
				break
			}
		}
	}
	if !ofRegion || len(sources) == 0 || len(sources) == maxSources {
		return nil, errors.New("its " + typeDiscardManager + " is not laid out as in any known QEMU")
	}
	return sources, nil
}

// isDiscardSource reports whether a is an object that [VM.readDiscards] can
// read.
func (vm *VM) isDiscardSource(a addr.HVA) bool {
	for _, typ := range []string{typeVirtioMem, typeRAMAttributes} {
		if _, ok := vm.isA(a, typ); ok {
			return true
		}
	}
	return false
}
