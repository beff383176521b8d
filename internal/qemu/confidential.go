package qemu

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/cvalue"
)

// A confidential guest keeps its memory from its host, QEMU included. There
// are two ways:
//
//   - The memory is QEMU's, and encrypted with a key that only the processor
//     or the firmware has: SEV and SEV-ES, protected virtualization of s390,
//     PEF of POWER. What QEMU, its core and its own dump have of it is
//     ciphertext, but for the pages that the guest shares.
//   - Private memory is in a file that no process can map, the block's
//     guest_memfd (9.1): SEV-SNP, TDX. QEMU has mapped the pages that the guest
//     shares; where it has private ones, its mapping has nothing to do with
//     them. Since 10.1 a bitmap says which are which.

// Flags of a RAMBlock (include/exec/memory.h, include/system/memory.h).
const (
	ramProtected  = 1 << 8  // enclaves of SGX (6.2)
	ramGuestMemfd = 1 << 12 // 9.1
)

// Objects that make a guest confidential, by their QOM types, and what they
// do to its memory. They inherit from "confidential-guest-support" since 6.0.
var confidentialTypes = map[string]string{
	"sev-guest":     "AMD SEV encrypts its memory",
	"sev-snp-guest": "AMD SEV-SNP keeps its private memory from QEMU",
	"tdx-guest":     "Intel TDX keeps its private memory from QEMU",
	"s390-pv-guest": "protected virtualization encrypts its memory as soon as the guest asks for it",
	"pef-guest":     "POWER's Protected Execution Facility encrypts its memory as soon as the guest asks for it",
}

// findConfidential is the QOM type of the object that makes the guest
// confidential, "" if it is an ordinary one. Only with KVM does such an object
// do anything.
func (vm *VM) findConfidential() (string, error) {
	m, err := vm.machine()
	if err != nil {
		return "", err
	}
	if accel, err := m.accelerator(); err == nil && accel != "kvm" {
		return "", nil
	}
	typ := ""
	err = m.pointers(func(p addr.HVA) bool { // MachineState.cgs
		name, err := vm.typeName(p)
		if err != nil {
			return false
		}
		_, support := vm.isA(p, "confidential-guest-support")
		if _, known := confidentialTypes[name]; support || known {
			typ = name
		}
		return typ != ""
	})
	if err != nil || typ != "" {
		return typ, err
	}
	// From 2.12 to 5.2 the machine has the object's name, and SEV is all there is.
	id, err := m.read(func(o *cvalue.Object) (uint64, error) {
		if !o.Has("memory_encryption") {
			return 0, nil
		}
		return uint64(o.Pointer("memory_encryption")), nil
	})
	if err == nil && id != 0 {
		typ = "sev-guest"
	}
	return typ, err
}

// sealed says why guest memory is not what the guest sees, though QEMU has it;
// "" if it is. Private memory that QEMU is known not to have is no case of
// this: it is absent.
func (vm *VM) sealed() string {
	typ, err := vm.confidential()
	for _, r := range vm.view {
		if b := r.Block; b != nil && b.Flags&ramGuestMemfd != 0 && b.shared.words == nil {
			return fmt.Sprintf("the guest is confidential (%s): RAM block %q has private memory that is not in QEMU, and which of its pages those are is not known; "+
				"they read as zeros or old contents", whatSeals(typ), b.Name)
		}
	}
	switch typ {
	case "", "sev-snp-guest", "tdx-guest":
		if err != nil {
			vm.src.Log.Debug("whether the guest is confidential is not known", "reason", err)
		}
		return ""
	}
	return fmt.Sprintf("the guest is confidential (%s): outside of it its memory is ciphertext, but for the pages that it shares", whatSeals(typ))
}

func whatSeals(typ string) string {
	switch what := confidentialTypes[typ]; {
	case what != "":
		return what
	case typ == "":
		return "its blocks have a guest_memfd"
	}
	return typ
}

// readRAMAttributes reads which pages of a block the guest shares with QEMU
// (RamBlockAttributes, include/system/ramblock.h, QEMU 10.1): behind Object
// the block, the number of bits, the bitmap.
func (vm *VM) readRAMAttributes(a addr.HVA, b *RAMBlock) (bitmap, error) {
	own, ok := vm.isA(a, "object")
	word := addr.HVA(vm.space.PointerSize)
	at := a + addr.HVA(own)
	block, err := vm.space.Pointer(at)
	if err != nil {
		return bitmap{}, err
	}
	bits, err := vm.space.Pointer(at + 2*word)
	if err != nil {
		return bitmap{}, err
	}
	if !ok || block != b.Addr {
		return bitmap{}, errors.New("its " + typeRAMAttributes + " are not laid out as in any known QEMU")
	}
	page := vm.src.Process.Host().PageSize
	return vm.readBitmap(bits, (b.UsedLength+page-1)/page, page)
}

// privateMemory says why private memory is absent.
func (vm *VM) privateMemory() string {
	typ, _ := vm.confidential()
	return fmt.Sprintf("it is private memory of a confidential guest (%s), which nobody outside of it can read", whatSeals(typ))
}
