package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
)

// A MemoryRegion with a RamDiscardManager (MemoryRegion.rdm, 6.1) is RAM of
// which the guest has parts only: what virtio-mem has plugged, what a
// confidential guest shares with its host. Up to 10.2 rdm is the object that
// knows them, cast to an interface, which leaves a pointer as it is
// (qom/object.c). In 11.1 it is an object of its own that lists such objects,
// its sources (include/system/ram-discard-manager.h).

// QOM types.
const (
	typeDiscardManager = "ram-discard-manager"  // an interface up to 10.2, then an object
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
	// a list of them.
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
		default:
			listed, err := vm.listedSources(p)
			if err != nil {
				return nil, err
			}
			sources = append(sources, listed...)
		}
	}
	if !ofRegion || len(sources) == 0 {
		return nil, errors.New("its " + typeDiscardManager + " is not laid out as in any known QEMU")
	}
	return sources, nil
}

// listedSources walks a list whose entries are a source each, and the link to
// the next entry. There are none if the first one is no such entry.
func (vm *VM) listedSources(entry addr.HVA) ([]addr.HVA, error) {
	var sources []addr.HVA
	for entry != 0 {
		s, err := vm.space.Pointer(entry)
		known := err == nil && vm.isDiscardSource(s)
		switch {
		case !known && len(sources) == 0:
			return nil, nil
		case !known || len(sources) == maxSources:
			return nil, fmt.Errorf("its %s has a source that is not known here, at %#x", typeDiscardManager, uint64(s))
		}
		sources = append(sources, s)
		if entry, err = vm.space.Pointer(entry + addr.HVA(vm.space.PointerSize)); err != nil {
			return nil, err
		}
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
