package linux

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

func isX86(m *guest.Machine) bool { return m.Arch.Machine == elf.EM_X86_64 }

// reckonPhysBase finds phys_base of an x86-64 kernel: from where page tables
// have the kernel's names or, without a note, the vCPUs' interrupt handlers;
// and holds what the note says against it.
func reckonPhysBase(m *guest.Machine, c *candidate) {
	k := m.Kernel
	said, ok := int64(0), false
	if c != nil {
		said, ok = c.info.Number("phys_base")
		if ok {
			k.PhysBase = &said
		}
	}
	var tables int64
	switch {
	case c != nil && len(c.seen) > 0:
		s := c.seen[0]
		tables = int64(s.phys - (s.va - startKernelMap))
	default:
		va, phys, found := handler(m)
		if !found {
			return
		}
		tables = int64(phys - (va - startKernelMap))
	}
	k.PhysBase = &tables
	if ok && said != tables {
		m.Warnings = append(m.Warnings, fmt.Sprintf("the guest's VMCOREINFO says that phys_base is %#x, the page tables of the vCPUs say %#x, which is taken: "+
			"crash needs -m phys_base=%#x", said, tables, tables))
	}
	if k.Offset != nil {
		return
	}
	if k.Offset = kernelOffset(m); k.Offset != nil {
		k.Remarks = append(k.Remarks, fmt.Sprintf("the kernel offset is that of a Linux kernel which is linked at %#x, as is usual: nothing in memory says so", uint64(linkedAt)))
	}
}

// handler is where a vCPU's handler of the first interrupt lies, if that is
// among a Linux kernel's code.
func handler(m *guest.Machine) (va, phys uint64, ok bool) {
	for _, cpu := range m.CPUs {
		x86, isX86 := cpu.State.(*arch.X86)
		if !isX86 || !x86.LongMode() {
			continue
		}
		for _, t := range kernelPaging(x86) {
			var gate [16]byte // offset 15:0, selector, type, offset 31:16, offset 63:32
			if _, err := m.Image.ReadVirtual(t, gate[:], x86.IDT.Base); err != nil {
				continue
			}
			le := binary.LittleEndian
			va := uint64(le.Uint16(gate[:])) | uint64(le.Uint16(gate[6:]))<<16 | uint64(le.Uint32(gate[8:]))<<32
			if page, err := t.Translate(m.Image, va); err == nil && va >= linkedAt && va-startKernelMap < imageSize {
				return va, page.At(va), true
			}
		}
	}
	return 0, 0, false
}

const (
	// linkedAt is where x86-64 kernels are linked to run, with the usual
	// CONFIG_PHYSICAL_START of 16 MiB.
	linkedAt = startKernelMap + 0x100_0000
	// imageSize is KERNEL_IMAGE_SIZE with KASLR: what the kernel's own
	// mapping may take (arch/x86/include/asm/page_64_types.h).
	imageSize = 1 << 30
	imageStep = 2 << 20 // it begins at a multiple of this
)

// kernelOffset is the distance of the first page of the kernel's own mapping
// from where kernels are linked, nil if no vCPU maps any.
func kernelOffset(m *guest.Machine) *uint64 {
	for _, cpu := range m.CPUs {
		for _, t := range kernelPaging(cpu.State) {
			for at := uint64(linkedAt); at-startKernelMap < imageSize; at += imageStep {
				if _, err := t.Translate(m.Image, at); err == nil {
					off := at - linkedAt
					return &off
				}
			}
		}
	}
	return nil
}
