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
	typeS390Guest:   "protected virtualization encrypts its memory",
	"pef-guest":     "POWER's Protected Execution Facility encrypts its memory as soon as the guest asks for it",
}

// confidential is what makes a guest confidential.
type confidential struct {
	typ string // QOM type of the object; "" in an ordinary guest
	// accel is the accelerator, "" if not known: only with KVM does the
	// object do anything.
	accel string
}

// String says what it does to the guest's memory.
func (c confidential) String() string {
	switch what := confidentialTypes[c.typ]; {
	case what != "":
		return what
	case c.typ == "":
		return "its blocks have a guest_memfd"
	}
	return c.typ
}

// active reports whether it does so.
func (c confidential) active() bool { return c.typ != "" && (c.accel == "kvm" || c.accel == "") }

// findConfidential finds what makes the guest confidential.
func (vm *VM) findConfidential() (c confidential, err error) {
	m, err := vm.machine()
	if err != nil {
		return c, err
	}
	c.accel, _ = m.accelerator()
	if protected, known, err := vm.s390Protected(m); known && err == nil {
		if protected {
			c.typ = typeS390Guest
		}
		return c, nil
	}
	err = m.pointers(func(p addr.HVA) bool { // MachineState.cgs
		typ, err := vm.typeName(p)
		if err != nil {
			return false
		}
		_, support := vm.isA(p, "confidential-guest-support")
		if _, known := confidentialTypes[typ]; support || known {
			c.typ = typ
		}
		return c.typ != ""
	})
	if err != nil || c.typ != "" {
		return c, err
	}
	// From 2.12 to 5.2 the machine has the object's name, and SEV is all there is.
	id, err := m.read(func(o *cvalue.Object) (uint64, error) {
		if !o.Has("memory_encryption") {
			return 0, nil
		}
		return uint64(o.Pointer("memory_encryption")), nil
	})
	if err == nil && id != 0 {
		c.typ = "sev-guest"
	}
	return c, err
}

// sealed says why guest memory is not what the guest sees, though QEMU has it;
// "" if it is. Private memory that QEMU is known not to have is no case of
// this: it is absent.
func (vm *VM) sealed() string {
	c, err := vm.confidential()
	if err != nil {
		vm.src.Log.Debug("whether the guest is confidential is not known", "reason", err)
	}
	for _, r := range vm.view {
		if b := r.Block; b != nil && b.Flags&ramGuestMemfd != 0 && b.shared.words == nil {
			return fmt.Sprintf("the guest is confidential (%v): RAM block %q has private memory that is not in QEMU, and which of its pages those are is not known; "+
				"they read as zeros or old contents", c, b.Name)
		}
	}
	if !c.active() || c.typ == "sev-snp-guest" || c.typ == "tdx-guest" {
		return ""
	}
	return fmt.Sprintf("the guest is confidential (%v): outside of it its memory is ciphertext, but for the pages that it shares", c)
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
	c, _ := vm.confidential()
	return fmt.Sprintf("it is private memory of a confidential guest (%v), which nobody outside of it can read", c)
}
