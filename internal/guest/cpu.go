package guest

import (
	"slices"

	"guestcore/internal/arch"
)

// CPU is a virtual processor.
type CPU struct {
	Index  int // the hypervisor's number of it, from 0
	Thread int // the hypervisor's thread that is the processor, 0 if not known
	// Activity is what it was doing, such as "halted" or "executing", "" if
	// not known.
	Activity string
	// State is its registers, nil when Trust is Unknown.
	State arch.State
	// NoPaging tells that State lacks those that translate addresses, and has
	// zeros for them.
	NoPaging bool
	Trust    Trust
	// Reason says why Trust is not Valid, or in what Valid is limited, for the
	// user.
	Reason string
	// Notes are the notes that a dump has of the processor, for a machine that
	// comes out of one; nil otherwise. A dump with notes for the same
	// architecture takes them as they are: they may say what State has no place
	// for, and where there is no State less than it needs.
	Notes []Note
}

// Note is an ELF note of a dump.
type Note struct {
	Name string // without its NUL
	Type uint32
	Desc []byte // without padding
}

// Usable reports whether there are registers to use: those that the guest had
// or, with stale, older ones.
func (c CPU) Usable(stale bool) bool {
	return c.State != nil && (c.Trust == Valid || c.Trust == Stale && stale)
}

// HasRegisters reports whether there are any of a vCPU to use, see
// [CPU.Usable].
func (m *Machine) HasRegisters(stale bool) bool {
	return slices.ContainsFunc(m.CPUs, func(c CPU) bool { return c.Usable(stale) })
}

// Label is how far the registers can be relied on, and why no further.
func (c CPU) Label() string {
	if c.Reason == "" {
		return c.Trust.String()
	}
	return c.Trust.String() + ", " + c.Reason
}

// Trust says how far the registers of a CPU can be relied on.
type Trust int

const (
	Unknown Trust = iota // they could not be read
	Stale                // an earlier state: the guest ran on with registers elsewhere, in the host's kernel
	Valid                // what the guest had when it was stopped
)

func (t Trust) String() string {
	return [...]string{"unknown", "stale", "valid"}[t]
}
