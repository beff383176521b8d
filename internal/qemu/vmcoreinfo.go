package qemu

import (
	"encoding/binary"
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

const (
	nameVMCoreInfo = "vmcoreinfo_state" // static in vmcoreinfo_realize, since 2.12
	// vmcoreinfoELF is FW_CFG_VMCOREINFO_FORMAT_ELF: the guest wrote an ELF note.
	vmcoreinfoELF = 1
	// maxVMCoreInfo is the largest note QEMU itself takes, bytes.
	maxVMCoreInfo = 1 << 20
	nhdrSize      = 12 // an ELF note's header: namesz, descsz, type
)

// errNoVMCoreInfo means that the machine has no vmcoreinfo device or that its
// guest wrote nothing to it, which is not a fault.
var errNoVMCoreInfo = errors.New("no vmcoreinfo")

// guestNote is the VMCOREINFO note a Linux guest left with QEMU's vmcoreinfo device.
type guestNote struct {
	bytes []byte           // the whole ELF note
	order binary.ByteOrder // the guest's
}

// findVMCoreInfo finds the device and reads the note from guest memory.
func (vm *VM) findVMCoreInfo() (guestNote, error) {
	dev, err := vm.findVMCoreInfoDevice()
	if err != nil {
		return guestNote{}, err
	}
	has, header, err := vm.vmcoreinfoOffsets(dev)
	if err != nil {
		return guestNote{}, err
	}
	// FWCfgVMCoreInfo, little-endian on any host: host_format, guest_format
	// (u16), size (u32), paddr (u64); docs/specs/vmcoreinfo.
	var p [17]byte
	if _, err := vm.space.Mem.ReadAt(p[:1], int64(dev+has)); err != nil {
		return guestNote{}, fmt.Errorf("vmcoreinfo device: %w", err)
	}
	if _, err := vm.space.Mem.ReadAt(p[1:], int64(dev+header)); err != nil {
		return guestNote{}, fmt.Errorf("vmcoreinfo device: %w", err)
	}
	le := binary.LittleEndian
	format, size, paddr := le.Uint16(p[3:]), le.Uint32(p[5:]), le.Uint64(p[9:])
	if p[0] == 0 {
		return guestNote{}, fmt.Errorf("%w: the guest wrote none to the device", errNoVMCoreInfo)
	}
	if p[0] != 1 || format != vmcoreinfoELF || size < nhdrSize || size > maxVMCoreInfo {
		return guestNote{}, fmt.Errorf("vmcoreinfo device: has %d, format %d, size %d cannot be used", p[0], format, size)
	}
	memory, err := vm.memory()
	if err != nil {
		return guestNote{}, err
	}
	note := make([]byte, size)
	if _, err := memory.image.ReadAt(note, int64(paddr)); err != nil {
		return guestNote{}, err
	}
	note, order, err := trimNote(note)
	if err != nil {
		return guestNote{}, fmt.Errorf("at %#x: %w", paddr, err)
	}
	return guestNote{note, order}, nil
}

// trimNote checks a VMCOREINFO note and cuts off what follows it. The guest
// gives the size of its buffer, the header that of the note.
func trimNote(p []byte) ([]byte, binary.ByteOrder, error) {
	const name = "VMCOREINFO\x00"
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		namesz, descsz, typ := order.Uint32(p), uint64(order.Uint32(p[4:])), order.Uint32(p[8:])
		if namesz != uint32(len(name)) || typ != 0 {
			continue
		}
		end := nhdrSize + 12 + (descsz+3)&^3
		if end > uint64(len(p)) {
			return nil, nil, fmt.Errorf("%d bytes of contents do not fit its %d bytes", descsz, len(p))
		}
		if string(p[nhdrSize:nhdrSize+len(name)]) != name {
			break
		}
		return p[:end], order, nil
	}
	return nil, nil, errors.New("its header is not that of a VMCOREINFO note")
}

// findVMCoreInfoDevice finds the device: by the static variable that holds it
// where debug information or symbols name it, else as the object of that type
// which QEMU's data points to.
func (vm *VM) findVMCoreInfoDevice() (addr.HVA, error) {
	if g, ok := vm.vmcoreinfoVariable(); ok {
		vm.globals[nameVMCoreInfo] = g
		dev, err := vm.space.Pointer(g.Addr)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", nameVMCoreInfo, err)
		}
		if dev == 0 {
			return 0, fmt.Errorf("%w: the machine has no vmcoreinfo device", errNoVMCoreInfo)
		}
		return dev, nil
	}
	slot, dev, ok := vm.scanObject("vmcoreinfo", func(_, v addr.HVA) bool {
		name, err := vm.typeName(v)
		return err == nil && name == "vmcoreinfo"
	})
	if !ok {
		return 0, fmt.Errorf("%w: no vmcoreinfo device was found", errNoVMCoreInfo)
	}
	vm.globals[nameVMCoreInfo] = Global{Name: nameVMCoreInfo, Addr: slot, From: "found by its contents in the data of " + vm.src.ExePath}
	return dev, nil
}

// vmcoreinfoVariable is the static variable vmcoreinfo_state of
// vmcoreinfo_realize (QEMU c3b1642b9b, 2.12).
func (vm *VM) vmcoreinfoVariable() (Global, bool) {
	const function = "vmcoreinfo_realize"
	if vm.src.Exe == nil {
		return Global{}, false
	}
	if d, ok := vm.layout.Layouts.(*ctype.DWARF); ok {
		if v, err := d.Variable(function, nameVMCoreInfo); err == nil {
			return Global{Name: nameVMCoreInfo, Addr: vm.src.Bias + addr.HVA(v.Addr), From: vm.layout.Name}, true
		}
	}
	s, err := vm.src.Exe.LookupStatic(function, nameVMCoreInfo)
	if err != nil {
		return Global{}, false
	}
	return Global{nameVMCoreInfo, vm.src.Bias + addr.HVA(s.Value), s.Size, s.From.Section + " of " + s.From.File}, true
}

// vmcoreinfoOffsets are the offsets of has_vmcoreinfo and vmcoreinfo in the
// device. The object before them grew and shrank with the releases, but they
// always end it: a built-in layout that a memory walk has proven is right
// about their distance from the end, which QOM knows.
func (vm *VM) vmcoreinfoOffsets(dev addr.HVA) (has, header addr.HVA, err error) {
	size, ok := vm.isA(dev, "vmcoreinfo")
	if !ok {
		return 0, 0, fmt.Errorf("the object at %#x is no vmcoreinfo device", uint64(dev))
	}
	s, err := vm.space.Layouts.Struct("VMCoreInfoState")
	if err != nil {
		return 0, 0, err
	}
	h, err1 := s.Field("has_vmcoreinfo")
	i, err2 := s.Field("vmcoreinfo.host_format")
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, err
	}
	if size != s.Size && !vm.layout.Table {
		return 0, 0, fmt.Errorf("a vmcoreinfo device has %d bytes in the process, %d in the debug information", size, s.Size)
	}
	moved := addr.HVA(size - s.Size)
	return addr.HVA(h.Offset) + moved, addr.HVA(i.Offset) + moved, nil
}
