// Package note makes the ELF notes of a dump, which are the same in every
// format that carries any: what the guest left of itself, and what guestcore
// has to say of the file.
//
// It knows no format: those are its neighbours, and say where notes go. How
// the registers of a processor become notes is a file of each architecture's.
package note

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// Notes are the notes of a dump, one behind the other.
type Notes struct {
	Bytes []byte
	// VMCoreInfo is what the guest's VMCOREINFO note says, nil without one. It
	// lies at Bytes[VMCoreInfoAt:].
	VMCoreInfo   []byte
	VMCoreInfoAt int
	// Remarks are what the user should know, a sentence each.
	Remarks []string
}

// Of makes the notes of a dump of m that holds c. The order is QEMU's:
// processors, guest, and then our own.
func Of(m *guest.Machine, c *dump.Content, o dump.Options) Notes {
	var n Notes
	n.Bytes, n.Remarks = processors(m, o.StaleRegisters)
	if len(m.VMCoreInfo) == 0 {
		n.Remarks = append(n.Remarks, "the file has no VMCOREINFO: for a Linux guest crash may need --kaslr and -m phys_base, "+
			"and drgn and makedumpfile may refuse it")
	}
	n.add(m, c, o, nil)
	return n
}

// Rest makes the notes for a format that has its own way with processors: of
// the guest and of ours, in which more lines have their place.
func Rest(m *guest.Machine, c *dump.Content, o dump.Options, lines []string) Notes {
	var n Notes
	n.add(m, c, o, lines)
	return n
}

// add adds what comes behind the processors' notes.
func (n *Notes) add(m *guest.Machine, c *dump.Content, o dump.Options, lines []string) {
	whole, desc, err := guestNote(m.Arch.Order, m.VMCoreInfo)
	switch {
	case err != nil:
		n.Remarks = append(n.Remarks, fmt.Sprintf("the guest's VMCOREINFO is left out: %v", err))
	case whole != nil:
		n.VMCoreInfo, n.VMCoreInfoAt = whole[desc.start:desc.end], len(n.Bytes)+desc.start
	}
	if !c.Window.IsZero() {
		n.Remarks = append(n.Remarks, fmt.Sprintf("only guest memory in %v is in the file, as asked for", c.Window))
	}
	n.Bytes = append(n.Bytes, whole...)
	n.Bytes = Append(n.Bytes, m.Arch.Order, "GUESTCORE", 0, []byte(label(m, c, o, lines)))
}

// label is the text of the GUESTCORE note, KEY=value lines as in VMCOREINFO.
// The note is always there, as readers expect one; its type 0 is what they
// skip: crash, makedumpfile and gdb look at names only then.
//
//	CREATOR=guestcore 0.1
//	CPU0=valid
//	CPU1=stale KVM had newer ones
//	WINDOW=0x0-0x80000000 all that was asked for, only if that is not all
//	CONTEXTS=kept, of a guest out of a Windows crash dump: memory has the registers
//	ABSENT=0x40000000-0x40001000 the core is truncated
//
// What lines a format adds stands behind the processors.
func label(m *guest.Machine, c *dump.Content, o dump.Options, lines []string) string {
	creator := o.Creator
	if creator == "" {
		creator = "guestcore"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATOR=%s\n", oneLine(creator))
	for _, cpu := range m.CPUs {
		fmt.Fprintf(&b, "CPU%d=%s\n", cpu.Index, oneLine(cpu.Label()))
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%s\n", oneLine(line))
	}
	if !c.Window.IsZero() {
		fmt.Fprintf(&b, "WINDOW=%v\n", c.Window)
	}
	if m.Windows != nil && m.Windows.Kept {
		fmt.Fprintf(&b, "CONTEXTS=kept\n")
	}
	if c.Sealed != "" {
		fmt.Fprintf(&b, "SEALED=%s\n", oneLine(c.Sealed))
	}
	for _, a := range c.Absent {
		fmt.Fprintf(&b, "ABSENT=%#x-%#x %s\n", uint64(a.Addr), uint64(a.Addr)+a.Size, oneLine(a.Reason))
	}
	return b.String()
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// Append adds a note: three words, the name with its NUL and the descriptor,
// both padded to 4 bytes in either class.
func Append(b []byte, order binary.ByteOrder, name string, typ uint32, desc []byte) []byte {
	head := make([]byte, 12)
	order.PutUint32(head, uint32(len(name)+1))
	order.PutUint32(head[4:], uint32(len(desc)))
	order.PutUint32(head[8:], typ)
	b = append(b, head...)
	b = append(b, pad4(append([]byte(name), 0))...)
	return append(b, pad4(desc)...)
}

func pad4(b []byte) []byte {
	return append(b, make([]byte, -len(b)&3)...)
}

// span is a part of a note, in bytes from its beginning.
type span struct{ start, end int }

// guestNote checks that raw is one whole ELF note in the guest's byte order
// and returns it without what follows it, and where its descriptor is; nil for
// nil.
func guestNote(order binary.ByteOrder, raw []byte) (whole []byte, desc span, err error) {
	if len(raw) == 0 {
		return nil, span{}, nil
	}
	if len(raw) < 12 {
		return nil, span{}, fmt.Errorf("%d bytes are too few for a note", len(raw))
	}
	name, size := uint64(order.Uint32(raw)), uint64(order.Uint32(raw[4:]))
	start := 12 + (name+3)&^3
	if start+size > uint64(len(raw)) {
		return nil, span{}, fmt.Errorf("the note says it has %d bytes of name and %d of content, the guest gave %d in all", name, size, len(raw))
	}
	desc = span{int(start), int(start + size)}
	return pad4(slices.Clone(raw[:desc.end])), desc, nil
}
