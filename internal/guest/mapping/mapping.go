// Package mapping says where a machine's physical memory is in the virtual
// memory of its processors: what an ELF dump with paging has as p_vaddr.
//
// The list is QEMU's own, as dump-guest-memory makes it with paging=true,
// down to what is odd about it: all processors' page tables go into one list,
// and every address is taken for one of the upper half of virtual memory. To
// translate one address, ask package arch.
//
// It knows guest memory, from package guest, and no file format.
package mapping

import (
	"context"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// Of lists where the processors have mapped memory, in order of physical
// address. It is nil where QEMU takes virtual for physical addresses: no
// processor has paging on, or the architecture is not x86 (QEMU 11.1).
// Pages that lie outside of memory are left out, since a processor reads
// devices there; memory that a dump has not is in it.
// With stale, registers that are known to be old are used too. The warnings
// are sentences for the user.
func Of(ctx context.Context, m *guest.Machine, stale bool) (list []Mapping, warnings []string, err error) {
	if m.Sealed != "" {
		return nil, nil, fmt.Errorf("page tables cannot be read: %s", m.Sealed)
	}
	w := walk{machine: m, tables: tables{image: m.Image}}
	known := 0
	for _, cpu := range m.CPUs {
		if !cpu.Usable(stale) {
			warnings = append(warnings, fmt.Sprintf("what vCPU %d has mapped is left out: its registers are %s", cpu.Index, cpu.Label()))
			continue
		}
		known++
		x86, ok := cpu.State.(*arch.X86)
		if !ok {
			continue
		}
		if err := w.cpu(ctx, x86.X86Paging()); err != nil {
			return nil, nil, fmt.Errorf("page tables of vCPU %d: %w: leave paging out", cpu.Index, err)
		}
	}
	if known == 0 {
		return nil, nil, noRegisters(m)
	}
	if w.tables.lost > 0 {
		warnings = append(warnings, fmt.Sprintf("%d page tables are not in the source, the first at %#x: what they map has no virtual address in the file",
			w.tables.lost, w.tables.firstLost))
	}
	if !w.paging {
		return nil, warnings, nil
	}
	return w.list.sorted(), warnings, nil
}

// noRegisters says why there is nothing to find page tables with.
func noRegisters(m *guest.Machine) error {
	const otherwise = "leave paging out, crash and drgn find the page tables by themselves"
	if m.HasRegisters(true) {
		return fmt.Errorf("paging needs the registers of the vCPUs, and those are stale: use them with --stale-registers, or %s", otherwise)
	}
	return fmt.Errorf("paging needs the registers of the vCPUs, and those of none could be read: %s", otherwise)
}

// walk goes through the page tables of all processors.
type walk struct {
	machine *guest.Machine
	tables  tables
	list    list
	paging  bool // a processor has it on
}

// cpu adds what a processor has mapped.
func (w *walk) cpu(ctx context.Context, p arch.X86Paging) error {
	if !p.Enabled() {
		return nil
	}
	w.paging = true
	var upper uint64 // the bits of a virtual address that QEMU takes to be set
	if bits := p.VirtualBits(); bits > 32 {
		upper = ^uint64(0) << bits
	}
	return p.Walk(ctx, &w.tables, func(page arch.Page, entry uint64) error {
		// To QEMU, bits 62 to 52 of an entry belong to the address. The
		// processor leaves them to the operating system and to protection keys.
		const notAddress = 0x7ff << 52
		if entry&notAddress != 0 || !w.machine.HasMemory(addr.GPA(page.Phys)) {
			return nil
		}
		return w.list.add(page.Virt|upper, page.Phys, page.Size)
	})
}

// tables reads page tables as a processor does: zeros where there is no
// memory.
type tables struct {
	image     *guest.Image
	lost      int // tables that the source lacks
	firstLost uint64
}

func (t *tables) ReadAt(p []byte, off int64) (int, error) {
	_, err := t.image.ReadAt(p, off)
	if err == nil {
		return len(p), nil
	}
	clear(p)
	if t.image.Has(addr.GPA(off)) {
		if t.lost == 0 {
			t.firstLost = uint64(off)
		}
		t.lost++
	}
	return len(p), nil
}
