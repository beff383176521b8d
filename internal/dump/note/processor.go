package note

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// elfNote is one note: its name without the NUL, its type, its descriptor.
type elfNote struct {
	name string
	typ  uint32
	desc []byte
}

// Names of notes. CORE and LINUX are the kernel's, for what it writes of a
// process; QEMU's own hold what those have no place for.
const (
	nameCore  = "CORE"
	nameLinux = "LINUX"
	nameQEMU  = "QEMU"
)

// Types of the kernel's notes (include/uapi/linux/elf.h).
const (
	ntPRStatus = 1
	ntFPRegSet = 2
)

// cpuNotes are the notes of a processor of the machine g in the order QEMU
// writes them, nil for a state there are none of. index is the processor's
// number; the zero value of a state has notes as well.
func cpuNotes(state arch.State, index int, g arch.Guest) []elfNote {
	switch s := state.(type) {
	case *arch.X86:
		return x86Notes(s, index, g)
	case *arch.ARM64:
		return arm64Notes(s, index, g.Order)
	case *arch.ARM:
		return armNotes(s, index, g.Order)
	case *arch.RISCV:
		return riscvNotes(s, index, g)
	case *arch.LoongArch:
		return loongArchNotes(s, index)
	case *arch.S390X:
		return s390xNotes(s, index)
	case *arch.PPC64:
		return ppc64Notes(s, index, g.Order)
	}
	return nil
}

// encode puts a value of fixed size into b, which has room for it.
func encode(b []byte, order binary.ByteOrder, v any) {
	if _, err := binary.Encode(b, order, v); err != nil {
		panic(err) // b is too short
	}
}

// processors makes the notes of all processors: first the kernel's of each,
// then QEMU's of each. With stale, registers that are known to be old are
// written too.
//
// Readers count processors by their notes, so that one without registers to
// write must have notes where another has. Its registers are zeros, and that
// is a remark: crash searches its stack as if there were no note, drgn shows a
// frame at 0. Where none has any, there are no notes.
//
// A processor that comes with notes out of a dump has those.
func processors(m *guest.Machine, stale bool) (b []byte, remarks []string) {
	written := states(m, stale)
	remarks = append(remarksOn(m.CPUs, written, true), x86Remarks(m, written)...)
	var example arch.State
	if i := slices.IndexFunc(written, func(s arch.State) bool { return s != nil }); i >= 0 {
		example = written[i]
	}
	var own []byte
	for i, cpu := range m.CPUs {
		for _, n := range notesFor(cpu, written[i], example, m.Arch) {
			to := &b
			if n.name == nameQEMU {
				to = &own
			}
			*to = Append(*to, m.Arch.Order, n.name, n.typ, n.desc)
		}
	}
	return append(b, own...), remarks
}

// notesFor are the notes of a processor: those it came with, those of the
// registers to write, or those of zeros if another has registers, as example.
func notesFor(cpu guest.CPU, written, example arch.State, g arch.Guest) []elfNote {
	switch {
	case cpu.Notes != nil && (written != nil || cpu.State == nil):
		var notes []elfNote
		for _, n := range cpu.Notes {
			notes = append(notes, elfNote{n.Name, n.Type, n.Desc})
		}
		return notes
	case written == nil && example == nil:
		return nil
	case written == nil:
		written = reflect.New(reflect.TypeOf(example).Elem()).Interface().(arch.State)
	}
	return cpuNotes(written, cpu.Index, g)
}

// States are the registers to write of each processor, nil for one that has
// none to write, and what the user should know of them.
func States(m *guest.Machine, stale bool) (written []arch.State, remarks []string) {
	written = states(m, stale)
	return written, remarksOn(m.CPUs, written, false)
}

func states(m *guest.Machine, stale bool) []arch.State {
	written := make([]arch.State, len(m.CPUs))
	for i, cpu := range m.CPUs {
		if cpu.Usable(stale) {
			written[i] = cpu.State
		}
	}
	return written
}

// remarksOn says what the user should know of the registers: which are not
// written, or not to be relied on. Processors of which the same is to be said
// share a remark. carried tells that the file takes notes as they are.
func remarksOn(cpus []guest.CPU, written []arch.State, carried bool) []string {
	lacking := "they are not in the file"
	if slices.ContainsFunc(written, func(s arch.State) bool { return s != nil }) {
		lacking = "zeros stand for them"
	}
	var order []string
	who := map[string][]int{}
	for i, cpu := range cpus {
		say := cpu.Label()
		switch {
		case carried && cpu.Notes != nil && cpu.State == nil:
			say += ": the notes are carried over as they are"
		case written[i] == nil && cpu.Trust == guest.Stale:
			say += ": " + lacking + ", --stale-registers writes them all the same"
		case written[i] == nil:
			say += ": " + lacking
		case cpu.Trust == guest.Valid && cpu.Reason == "":
			continue
		}
		if who[say] == nil {
			order = append(order, say)
		}
		who[say] = append(who[say], cpu.Index)
	}
	var remarks []string
	for _, say := range order {
		remarks = append(remarks, fmt.Sprintf("the registers of CPU %s are %s", Numbers(who[say]), say))
	}
	return remarks
}

// Numbers is ascending numbers with ranges: "0, 2-7".
func Numbers(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		end := i + 1
		for end < len(n) && n[end] == n[end-1]+1 {
			end++
		}
		part := fmt.Sprint(n[i])
		if end-i > 1 {
			part = fmt.Sprintf("%d-%d", n[i], n[end-1])
		}
		parts = append(parts, part)
		i = end
	}
	return strings.Join(parts, ", ")
}
