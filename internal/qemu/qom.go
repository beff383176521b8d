package qemu

import (
	"fmt"

	"guestcore/internal/addr"
)

// Every QOM object begins with a pointer to its class, every class with one
// to its type, every type with one to its name: object -> class -> TypeImpl
// -> name. That has been so in every release (qom/object.c), so that no layout
// is needed to ask an object what it is.

// typeName is the QOM type of the object at a.
func (vm *VM) typeName(a addr.HVA) (string, error) {
	class, err := vm.space.Pointer(a)
	if err != nil {
		return "", err
	}
	if name, ok := vm.typeNames[class]; ok {
		return name, nil
	}
	typ, err := vm.space.Pointer(class)
	if err != nil {
		return "", fmt.Errorf("class of the object at %#x: %w", uint64(a), err)
	}
	namep, err := vm.space.Pointer(typ)
	if err != nil {
		return "", fmt.Errorf("type of the object at %#x: %w", uint64(a), err)
	}
	name, err := vm.space.String(namep, maxName)
	if err != nil || name == "" || !printable(name) {
		return "", fmt.Errorf("object at %#x has no QOM type", uint64(a))
	}
	vm.typeNames[class] = name
	return name, nil
}

// maxInherit bounds the depth of QOM's inheritance; the deepest devices have
// about ten levels.
const maxInherit = 64

// isA reports whether the object at a has a type, or one that inherits from
// it, and that type's instance size in bytes.
func (vm *VM) isA(a addr.HVA, want string) (size uint64, ok bool) {
	typ := vm.space.At(a, "Object").Deref("class", "ObjectClass").Deref("type", "TypeImpl")
	for range maxInherit {
		if typ.String("name", maxName) == want && typ.Err() == nil {
			size = typ.Ulong("instance_size")
			return size, typ.Err() == nil
		}
		if typ = typ.Deref("parent_type", "TypeImpl"); typ.Err() != nil {
			return 0, false
		}
	}
	return 0, false
}
