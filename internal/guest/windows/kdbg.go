package windows

import (
	"fmt"
	"strings"
)

// kdbg is KDDEBUGGER_DATA64, the kernel's table of what a debugger needs. Its
// fields are as wide on 32 bits, where pointers have their sign extended.
type kdbg struct {
	space
	addr uint64
}

// Offsets in KDDEBUGGER_DATA64 (QEMU 7.2, include/qemu/win_dump_defs.h; the
// rest as Windows' wdbgexts.h and Volatility 3 have it).
const (
	kdbgOwnerTag           = 0x10
	kdbgSize               = 0x14 // u32
	kdbgKiBugcheckData     = 0x88
	kdbgMmPfnDatabase      = 0xc0
	kdbgKiProcessorBlock   = 0x218
	kdbgPrcbProcStateFrame = 0x2bc // OffsetPrcbProcStateContext, u16; since Windows Server 2003
	kdbgPrcbContext        = 0x338 // OffsetPrcbContext, u16; since Windows 7
)

const ownerTag = "KDBG"

// tag reads where the tag of a KDBG has to be.
func (k kdbg) tag() (string, error) {
	b := make([]byte, len(ownerTag))
	if err := k.read(b, k.addr+kdbgOwnerTag); err != nil {
		return "", err
	}
	return string(b), nil
}

// pointer reads the pointer in a field.
func (k kdbg) pointer(field uint64) (uint64, error) { return k.space.pointer(k.addr + field) }

// findKDBG finds the table: where the kernel has it or, if that cannot be
// read or is encoded, where the guest's driver left a decoded copy, which is
// what BugcheckParameter1 says then (the same in QEMU, which does not look
// there if the kernel's cannot be read). The error is of the likeliest space.
func findKDBG(h Header, in []space) (kdbg, error) {
	var tried []string
	for _, f := range []Field{KdDebuggerDataBlock, BugcheckParameter1} {
		for i, s := range in {
			k := kdbg{s, h.Uint(f)}
			tag, err := k.tag()
			if err == nil && tag == ownerTag {
				return k, nil
			}
			if err == nil {
				err = fmt.Errorf("its tag is %q, not %s", tag, ownerTag)
			}
			if i == 0 {
				tried = append(tried, fmt.Sprintf("at %v, %#x: %v", f, k.addr, err))
			}
		}
	}
	return kdbg{}, fmt.Errorf("the kernel's debugger data block (KDBG) was not found, neither the kernel's own nor a copy that the guest's driver made: "+
		"%s: the elf format does without", strings.Join(tried, "; "))
}
