package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

// QEMU describes what it migrates of a device or a vCPU in tables of its own,
// struct VMStateDescription with its VMStateFields (include/migration/vmstate.h):
// the members' names as the source has them, offsets and sizes. They are in
// any QEMU, with debug information or without, and right for however it was
// configured. The tables for vCPUs are exported by name, and the vCPU's class
// points to them.

// vmstateForm is how one range of releases laid out the structures of a
// VMState table on LP64 hosts, offsets in bytes. The pointers fields and
// subsections end the description in all of them.
type vmstateForm struct {
	releases                                       string
	size                                           uint64 // of VMStateDescription
	stride, offset, bytes, count, flags, structure uint64 // of VMStateField; name is at 0
}

// vmstateForms: err_hint came in 2.10 and went in 11.0, when num moved too.
var vmstateForms = []vmstateForm{
	{"11.0 and newer", 112, 96, 0x08, 0x10, 0x30, 0x40, 0x48},
	{"10.2", 112, 104, 0x10, 0x18, 0x28, 0x48, 0x50},
	{"2.10 to 3.1, 7.0 to 10.1", 88, 104, 0x10, 0x18, 0x28, 0x48, 0x50},
	{"4.2 to 6.2", 104, 104, 0x10, 0x18, 0x28, 0x48, 0x50},
	{"4.0, 4.1", 96, 104, 0x10, 0x18, 0x28, 0x48, 0x50},
}

// Flags of a field that matter here, the same in all releases.
const (
	vmsSingle = 0x1
	vmsArray  = 0x4
	vmsStruct = 0x8
	// vmsElsewhere are those of what is behind a pointer (VMS_POINTER,
	// VMS_ARRAY_OF_POINTER, VMS_VBUFFER), of as many elements as another member
	// says (VMS_VARRAY_…), or no member at all but a check (VMS_MUST_EXIST).
	vmsElsewhere = 0x2 | 0x40 | 0x100 | 0x10 | 0x80 | 0x400 | 0x800 | 0x1000
	vmsKnown     = 1<<17 - 1
)

// vmstateTmp names a field that is no member: a structure made up while
// migrating (VMSTATE_WITH_TMP).
const vmstateTmp = "tmp"

const (
	maxVMStateFields = 4096 // of one vCPU; the largest have about 200
	maxVMStateDepth  = 4
)

// vmstateMember is the place in the object of a member, or of a part of one.
type vmstateMember struct {
	path  string
	place ctype.Place
}

// vmstateReader reads the tables of one object.
type vmstateReader struct {
	vm      *VM
	form    vmstateForm
	members []vmstateMember
	left    int // fields that may still be read
}

// vmstate reads the table at a of an object of size bytes. The form is the one
// in which all of the table makes sense.
func (vm *VM) vmstate(a addr.HVA, object uint64) (map[string]ctype.Place, error) {
	var errs []error
	for _, form := range vmstateForms {
		r := vmstateReader{vm: vm, form: form, left: maxVMStateFields}
		err := r.description(a, "", 0, object, 0)
		if err == nil && len(r.members) > 0 {
			return joinArrays(r.members), nil
		}
		if err == nil {
			err = errors.New("it has no fields")
		}
		errs = append(errs, fmt.Errorf("%s: %w", form.releases, err))
	}
	return nil, fmt.Errorf("the VMState table at %#x is not laid out as in any known QEMU: %w", uint64(a), errors.Join(errs...))
}

// description reads a VMStateDescription of a structure of size bytes which
// lies at base in the object, and its subsections.
func (r *vmstateReader) description(a addr.HVA, prefix string, base, size uint64, depth int) error {
	if depth > maxVMStateDepth {
		return fmt.Errorf("VMState tables at %#x lie in one another more than %d deep", uint64(a), maxVMStateDepth)
	}
	space := r.vm.space
	name, err := space.Pointer(a)
	if err != nil {
		return err
	}
	if s, err := space.String(name, maxName); err != nil || s == "" || !printable(s) {
		return fmt.Errorf("the VMState table at %#x has no name", uint64(a))
	}
	fields, err := space.Pointer(a + addr.HVA(r.form.size-16))
	if err != nil {
		return err
	}
	subsections, err := space.Pointer(a + addr.HVA(r.form.size-8))
	if err != nil {
		return err
	}
	if fields != 0 {
		if err := r.fields(fields, prefix, base, size, depth); err != nil {
			return err
		}
	}
	for ; subsections != 0; subsections += 8 {
		sub, err := space.Pointer(subsections)
		if err != nil {
			return err
		}
		if sub == 0 {
			break
		}
		if r.left--; r.left < 0 {
			return errors.New("the VMState table has no end")
		}
		if err := r.description(sub, prefix, base, size, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fields reads VMStateFields up to the one without a name.
func (r *vmstateReader) fields(a addr.HVA, prefix string, base, size uint64, depth int) error {
	for ; ; a += addr.HVA(r.form.stride) {
		f, err := r.field(a)
		if err != nil || f.name == "" {
			return err
		}
		if r.left--; r.left < 0 {
			return errors.New("the VMState table has no end")
		}
		count := max(f.place.Count, 1)
		if f.flags&vmsElsewhere != 0 || f.name == vmstateTmp || f.place.Size == 0 {
			continue
		}
		if f.place.Offset > size || f.place.Size*count > size-f.place.Offset {
			return fmt.Errorf("VMState field %s%s ends outside of its %d bytes", prefix, f.name, size)
		}
		p := f.place
		p.Offset += base
		path := prefix + f.name
		r.members = append(r.members, vmstateMember{path, p})
		if f.flags&vmsStruct == 0 || f.structure == 0 {
			continue
		}
		path += "."
		if p.Count > 0 {
			path = path[:len(path)-1] + "[]."
		}
		if err := r.description(f.structure, path, p.Offset, p.Size, depth+1); err != nil {
			return err
		}
	}
}

// vmstateField is a VMStateField.
type vmstateField struct {
	name      string // "": the end of the table
	place     ctype.Place
	flags     uint32
	structure addr.HVA // VMStateDescription of a vmsStruct
}

func (r *vmstateReader) field(a addr.HVA) (vmstateField, error) {
	var f vmstateField
	space, form := r.vm.space, r.form
	p := make([]byte, form.stride)
	if _, err := space.Mem.ReadAt(p, int64(a)); err != nil {
		return f, fmt.Errorf("VMState field: %w", err)
	}
	name := addr.HVA(space.Word(p))
	if name == 0 {
		return f, nil
	}
	var err error
	if f.name, err = space.String(name, maxName); err != nil || f.name == "" || !printable(f.name) {
		return f, fmt.Errorf("the VMState field at %#x has no name", uint64(a))
	}
	f.flags = space.Order.Uint32(p[form.flags:])
	f.structure = addr.HVA(space.Word(p[form.structure:]))
	f.place = ctype.Place{Offset: space.Word(p[form.offset:]), Size: space.Word(p[form.bytes:])}
	n := space.Order.Uint32(p[form.count:])
	if f.flags&vmsArray != 0 {
		f.place.Count = uint64(n)
	}
	if f.flags&^vmsKnown != 0 || n > 1<<20 || f.place.Offset > maxCPUSize || f.place.Size > maxCPUSize {
		return f, fmt.Errorf("VMState field %s at %#x: flags %#x, offset %d, size %d, %d elements cannot be",
			f.name, uint64(a), f.flags, f.place.Offset, f.place.Size, n)
	}
	return f, nil
}
