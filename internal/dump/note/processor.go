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
// write must have notes where another has: its registers are zeros there, and
// that is a remark. Where none has any, there are no notes.
func processors(m *guest.Machine, stale bool) (b []byte, remarks []string) {
	written := make([]arch.State, len(m.CPUs))
	var example arch.State
	for i, cpu := range m.CPUs {
		if cpu.Usable(stale) {
			written[i], example = cpu.State, cpu.State
		}
	}
	remarks = remarksOn(m.CPUs, written)
	if example == nil {
		return nil, remarks
	}
	var own []byte
	for i, cpu := range m.CPUs {
		state := written[i]
		if state == nil {
			state = reflect.New(reflect.TypeOf(example).Elem()).Interface().(arch.State)
		}
		for _, n := range cpuNotes(state, cpu.Index, m.Arch) {
			to := &b
			if n.name == nameQEMU {
				to = &own
			}
			*to = Append(*to, m.Arch.Order, n.name, n.typ, n.desc)
		}
	}
	return append(b, own...), remarks
}

// remarksOn says what the user should know of the registers: those of which
// CPUs are not written or not to be relied on.
func remarksOn(cpus []guest.CPU, written []arch.State) []string {
	var remarks []string
	remark := func(format string, which []string, args ...any) {
		if len(which) > 0 {
			remarks = append(remarks, fmt.Sprintf(format, append([]any{strings.Join(which, ", ")}, args...)...))
		}
	}
	var none, stale, unknown []string
	for i, cpu := range cpus {
		line := fmt.Sprintf("%d (%s)", cpu.Index, cpu.Reason)
		switch {
		case written[i] == nil && cpu.Trust == guest.Stale:
			stale = append(stale, line)
		case written[i] == nil:
			unknown = append(unknown, line)
		case cpu.Reason != "":
			none = append(none, line)
		}
	}
	what := "zeros"
	if !slices.ContainsFunc(written, func(s arch.State) bool { return s != nil }) {
		what = "not in the file"
	}
	remark("the registers are old of CPU %s and are "+what+": --stale-registers writes them all the same", stale)
	remark("the registers are not known of CPU %s and are "+what, unknown)
	remark("the registers are in the file with a reservation of CPU %s", none)
	return remarks
}
