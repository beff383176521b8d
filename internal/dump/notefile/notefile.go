// Package notefile reads the registers of processors out of the ELF notes of a
// dump: those that the kernel's own core files have (NT_PRSTATUS and what
// follows it), and QEMU's note of an x86 processor. What a register is called
// and where it lies is written here a second time, as package note, which
// writes such notes, is what this one is a judge of.
//
// A state is made only of notes that say all it needs. A kernel that dumped
// itself has NT_PRSTATUS alone, in which an x86 processor has no control
// registers: then there is none, and the notes themselves are all there is.
//
// It knows no file format: package dumpfile, above, hands it the notes.
package notefile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// Names and types of notes (include/uapi/linux/elf.h; QEMU's is of type 0).
const (
	core  = "CORE"
	linux = "LINUX"
	qemu  = "QEMU"

	prstatus = 1
	prfpreg  = 2
)

// Machine is the architecture that processors of these notes have, by the
// length of NT_PRSTATUS: x86-64 and s390x have the same, and differ in the
// order of bytes. ok is false if there is none to tell.
func Machine(order binary.ByteOrder, notes []guest.Note) (m elf.Machine, ok bool) {
	for _, n := range notes {
		if n.Name != core || n.Type != prstatus {
			continue
		}
		if len(n.Desc) == statusX8664 && order == binary.BigEndian {
			return elf.EM_S390, true
		}
		m, ok = statusSizes[len(n.Desc)]
		return m, ok
	}
	return 0, false
}

// Lengths of struct elf_prstatus, bytes.
const (
	statusX8664 = 336
	statusS390X = 336
	status386   = 144
	statusARM64 = 392
	statusARM   = 148
	statusRV64  = 376
	statusRV32  = 204
	statusLA64  = 480
	statusPPC64 = 504
)

var statusSizes = map[int]elf.Machine{
	statusX8664: elf.EM_X86_64, status386: elf.EM_386, statusARM64: elf.EM_AARCH64, statusARM: elf.EM_ARM,
	statusRV64: elf.EM_RISCV, statusRV32: elf.EM_RISCV, statusLA64: elf.EM_LOONGARCH, statusPPC64: elf.EM_PPC64,
}

// CPUs are the processors of the machine g that notes tell of, in the order of
// the notes, nil if there are none. How far their registers can be relied on
// is what the labels say; without one they are taken for what the guest had.
func CPUs(g arch.Guest, notes []guest.Note, labels []Label) []guest.CPU {
	var cpus []guest.CPU
	seen := 0 // notes of QEMU's, one for each processor
	for _, n := range notes {
		switch {
		case n.Name == core && n.Type == prstatus:
			cpus = append(cpus, guest.CPU{Notes: []guest.Note{n}})
		case n.Name == core || n.Name == linux:
			if len(cpus) > 0 {
				last := &cpus[len(cpus)-1]
				last.Notes = append(last.Notes, n)
			}
		case n.Name == qemu:
			if seen == len(cpus) { // a file may have these alone
				cpus = append(cpus, guest.CPU{})
			}
			cpus[seen].Notes = append(cpus[seen].Notes, n)
			seen++
		}
	}
	number(cpus, labels, g)
	said := map[int]Label{}
	for _, l := range labels {
		said[l.Index] = l
	}
	for i := range cpus {
		read(&cpus[i], g, said)
	}
	if len(cpus) == 0 { // of some the file says only that there are no registers
		for _, l := range labels {
			cpus = append(cpus, guest.CPU{Index: l.Index, Reason: l.Reason})
		}
	}
	return cpus
}

// Label is what guestcore's own note says of a processor.
type Label struct {
	Index  int
	Trust  guest.Trust
	Reason string
}

// number gives processors their numbers: the labels say them, else the
// process ids do, if QEMU made them, else they are in order.
func number(cpus []guest.CPU, labels []Label, g arch.Guest) {
	ascending := true
	last := uint32(0)
	for i := range cpus {
		id := processID(cpus[i].Notes, g)
		ascending = ascending && id > last && id < 1<<20
		last = id
	}
	own := slices.ContainsFunc(cpus, func(c guest.CPU) bool {
		return slices.ContainsFunc(c.Notes, func(n guest.Note) bool { return n.Name == qemu })
	})
	for i := range cpus {
		switch {
		case len(labels) == len(cpus):
			cpus[i].Index = labels[i].Index
		case own && ascending:
			cpus[i].Index = int(processID(cpus[i].Notes, g)) - 1
		default:
			cpus[i].Index = i
		}
	}
}

// processID is pr_pid of NT_PRSTATUS, 0 if there is none.
func processID(notes []guest.Note, g arch.Guest) uint32 {
	n, ok := find(notes, core, prstatus)
	if !ok {
		return 0
	}
	at := 32 // of 64-bit architectures
	switch len(n.Desc) {
	case status386, statusARM, statusRV32:
		at = 24
	}
	if len(n.Desc) < at+4 {
		return 0
	}
	return g.Order.Uint32(n.Desc[at:])
}

// read sets the registers of a processor, and what is to be said of them.
// labels are by the processor's number.
func read(cpu *guest.CPU, g arch.Guest, labels map[int]Label) {
	cpu.Trust = guest.Valid
	if l, ok := labels[cpu.Index]; ok {
		cpu.Trust, cpu.Reason = l.Trust, l.Reason
	}
	state, err := decode(g, cpu.Notes)
	switch {
	case err != nil:
		cpu.Trust = guest.Unknown
		cpu.Reason = err.Error()
	case cpu.Trust == guest.Unknown || cpu.Trust == guest.Stale && blank(cpu.Notes, g):
		cpu.Notes = nil // zeros, which stand for registers
	default:
		cpu.State, cpu.NoPaging = state, !translates(g)
	}
}

// translates reports whether the notes of a machine's processors have the
// registers that translate addresses.
func translates(g arch.Guest) bool {
	return g.Machine == elf.EM_X86_64 || g.Machine == elf.EM_386 || g.Machine == elf.EM_S390
}

// blank reports whether notes hold no register but the number of a processor.
func blank(notes []guest.Note, g arch.Guest) bool {
	state, err := decode(g, notes)
	return err == nil && !slices.ContainsFunc(state.Registers(), func(r arch.Register) bool {
		return slices.ContainsFunc(r.Value, func(b byte) bool { return b != 0 })
	})
}

// decode makes a state of a processor's notes. The error says what they lack.
func decode(g arch.Guest, notes []guest.Note) (arch.State, error) {
	p := &processor{order: g.Order, notes: notes}
	var s arch.State
	switch g.Machine {
	case elf.EM_X86_64, elf.EM_386:
		s = p.x86(g.Machine == elf.EM_X86_64)
	case elf.EM_AARCH64:
		s = p.arm64()
	case elf.EM_ARM:
		s = p.arm()
	case elf.EM_RISCV:
		s = p.riscv(g.Class == elf.ELFCLASS32)
	case elf.EM_LOONGARCH:
		s = p.loongArch()
	case elf.EM_S390:
		s = p.s390x()
	case elf.EM_PPC64:
		s = p.ppc64()
	default:
		return nil, fmt.Errorf("the notes of a processor of %v cannot be read", g.Machine)
	}
	return s, p.err
}

// processor is the notes of one processor, as they are read. The first error
// sticks.
type processor struct {
	order binary.ByteOrder
	notes []guest.Note
	err   error
}

// take decodes what lies at off of a note into v, which has a fixed size. The
// note has to be size bytes long.
func (p *processor) take(name string, typ uint32, size, off int, v any) {
	if p.err != nil {
		return
	}
	n, ok := find(p.notes, name, typ)
	switch {
	case !ok:
		p.err = fmt.Errorf("the dump lacks the note %s %#x, without which the registers are not all known", name, typ)
	case len(n.Desc) != size:
		p.err = fmt.Errorf("the note %s %#x has %d bytes, not %d", name, typ, len(n.Desc), size)
	default:
		_, p.err = binary.Decode(n.Desc[off:], p.order, v)
	}
}

func find(notes []guest.Note, name string, typ uint32) (guest.Note, bool) {
	i := slices.IndexFunc(notes, func(n guest.Note) bool { return n.Name == name && n.Type == typ })
	if i < 0 {
		return guest.Note{}, false
	}
	return notes[i], true
}
