package arch

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// Notes gives a thread's register sets as the kernel's core notes lay them
// out, by the type of the note; nil if there is none.
type Notes func(typ uint32) []byte

// Types of the notes of general and floating-point registers
// (include/uapi/linux/elf.h).
const (
	ntPRStatus = 1
	ntFPRegSet = 2
)

// Host describes the registers of the machine a process ran on, in gdb's
// order and by gdb's names.
type Host struct {
	gdbName  string // what gdb calls the architecture
	order    binary.ByteOrder
	features []feature
	plain    int
	tp       func(Notes) []byte // the thread pointer; nil: not known
}

// feature is a group of registers that gdb knows by its name, such as
// org.gnu.gdb.i386.core (gdb manual, "Standard Target Features").
type feature struct {
	name  string
	types []regType
	regs  []reg
}

// reg is one register.
type reg struct {
	name  string
	bits  int
	typ   string // one of gdb's own types, or one of the feature's
	group string // "": gdb decides by the type
	value func(Notes) []byte
}

// Value is the value of one register.
type Value struct {
	Bits int
	Data []byte // Bits/8 bytes in the host's byte order; nil: not in the notes
}

// HostOf describes a host. Which registers there are can depend on the
// processor, and so on the notes of a thread.
func HostOf(m elf.Machine, class elf.Class, order binary.ByteOrder, notes Notes) (*Host, error) {
	if class == elf.ELFCLASS64 {
		switch m {
		case elf.EM_X86_64:
			return amd64(notes), nil
		case elf.EM_AARCH64:
			return arm64(order, notes), nil
		case elf.EM_S390:
			return s390x(notes), nil
		case elf.EM_PPC64:
			return ppc64(order, notes), nil
		case elf.EM_RISCV:
			return riscv64(), nil
		}
	}
	return nil, fmt.Errorf("the registers of a %v process on %v are not known: x86-64, aarch64, s390x, ppc64 and riscv64 are", class, m)
}

// Registers are the values of all registers, in the order of [Host.TargetXML].
func (h *Host) Registers(notes Notes) []Value {
	var values []Value
	for _, f := range h.features {
		for _, r := range f.regs {
			values = append(values, Value{Bits: r.bits, Data: r.value(notes)})
		}
	}
	return values
}

// PlainRegisters is the number of leading registers that a gdb expects which
// does not read TargetXML.
func (h *Host) PlainRegisters() int { return h.plain }

// ThreadPointer is the address of the thread's control block, the value of
// pthread_self for glibc on x86-64 and s390x.
func (h *Host) ThreadPointer(notes Notes) (uint64, bool) {
	if h.tp == nil {
		return 0, false
	}
	b := h.tp(notes)
	if len(b) != 8 {
		return 0, false
	}
	return h.order.Uint64(b), true
}

// ranged makes count registers that differ in a number: base is the offset of
// the first one in the note, stride the distance to the next.
func ranged(name string, first, count, bits int, typ string, note uint32, base, stride int) []reg {
	regs := make([]reg, count)
	for i := range regs {
		regs[i] = reg{
			name: fmt.Sprintf(name, first+i), bits: bits, typ: typ,
			value: field(note, base+i*stride, bits/8),
		}
	}
	return regs
}

// grouped puts registers into a group.
func grouped(group string, regs []reg) []reg {
	for i := range regs {
		regs[i].group = group
	}
	return regs
}

// field is size bytes at off in a note.
func field(note uint32, off, size int) func(Notes) []byte {
	return func(notes Notes) []byte { return cut(notes(note), off, size) }
}

// low is the lower half of the 64 bits at off in a note.
func low(order binary.ByteOrder, note uint32, off int) func(Notes) []byte {
	if order == binary.BigEndian {
		off += 4
	}
	return field(note, off, 4)
}

// cut is size bytes of b from off on, nil if b does not hold them.
func cut(b []byte, off, size int) []byte {
	if off < 0 || off+size > len(b) {
		return nil
	}
	return b[off : off+size]
}
