package qemu

import (
	"fmt"

	"guestcore/internal/addr"
)

// An object's properties are in a GHashTable of glib, by name (Object.properties,
// qom/object.h, 2.12 and newer as here). For a property that stands for a member
// QEMU keeps where that is: of properties of devices a struct Property, with the
// offset in the object, of others a pointer to the member itself.

// hashTableForm is how GLib lays out a GHashTable on LP64 hosts.
type hashTableForm struct{ mask, keys, hashes, values addr.HVA }

// hashTableForms: size grew from int to size_t in GLib 2.60.
var hashTableForms = []hashTableForm{{12, 32, 40, 48}, {8, 24, 32, 40}}

const (
	maxProperties = 1 << 16
	usedHash      = 2 // the lowest hash of a slot in use
)

// opaqueForms are the offsets of ObjectProperty.opaque, bytes, since 4.2 and
// before.
var opaqueForms = []addr.HVA{64, 56}

// properties are the addresses of an object's ObjectProperties, by name.
func (vm *VM) properties(object addr.HVA) (map[string]addr.HVA, error) {
	const member = 16 // of Object, behind class and free
	table, err := vm.space.Pointer(object + member)
	if err != nil {
		return nil, err
	}
	for _, form := range hashTableForms {
		if out, err := vm.hashTable(table, form); err == nil && len(out) > 0 {
			return out, nil
		}
	}
	return nil, fmt.Errorf("the properties of the object at %#x are not laid out as in any known GLib", uint64(object))
}

// hashTable reads a GHashTable whose keys are strings.
func (vm *VM) hashTable(a addr.HVA, form hashTableForm) (map[string]addr.HVA, error) {
	var p [64]byte
	if _, err := vm.space.Mem.ReadAt(p[:], int64(a)); err != nil {
		return nil, err
	}
	mask := uint64(vm.space.Order.Uint32(p[form.mask:]))
	if mask&(mask+1) != 0 || mask >= maxProperties {
		return nil, fmt.Errorf("a GHashTable of %d slots cannot be", mask+1)
	}
	word := func(at addr.HVA) int64 { return int64(vm.space.Order.Uint64(p[at:])) }
	hashes, keys, values := make([]byte, 4*(mask+1)), make([]byte, 8*(mask+1)), make([]byte, 8*(mask+1))
	for _, part := range []struct {
		bytes []byte
		at    int64
	}{{hashes, word(form.hashes)}, {keys, word(form.keys)}, {values, word(form.values)}} {
		if _, err := vm.space.Mem.ReadAt(part.bytes, part.at); err != nil {
			return nil, err
		}
	}
	out := map[string]addr.HVA{}
	for i := range mask + 1 {
		if vm.space.Order.Uint32(hashes[4*i:]) < usedHash {
			continue
		}
		key, err := vm.space.String(addr.HVA(vm.space.Order.Uint64(keys[8*i:])), maxName)
		if err != nil || key == "" || !printable(key) {
			return nil, fmt.Errorf("slot %d of a GHashTable has no name", i)
		}
		out[key] = addr.HVA(vm.space.Order.Uint64(values[8*i:]))
	}
	return out, nil
}

// memberOf is the offset of the member that a property of an object of size
// bytes stands for.
func (vm *VM) memberOf(object addr.HVA, size uint64, name string, property addr.HVA) (offset uint64, ok bool) {
	if s, err := vm.pointedString(property); err != nil || s != name {
		return 0, false
	}
	for _, at := range opaqueForms {
		opaque, err := vm.space.Pointer(property + at)
		if err != nil {
			continue
		}
		if off := uint64(opaque - object); off < size {
			return off, true
		}
		// struct Property: name, info, offset.
		if s, err := vm.pointedString(opaque); err != nil || s != name {
			continue
		}
		if off, err := vm.space.Pointer(opaque + 16); err == nil && uint64(off) < size {
			return uint64(off), true
		}
	}
	return 0, false
}

// pointedString is the string that the pointer at a leads to.
func (vm *VM) pointedString(a addr.HVA) (string, error) {
	p, err := vm.space.Pointer(a)
	if err != nil {
		return "", err
	}
	return vm.space.String(p, maxName)
}
