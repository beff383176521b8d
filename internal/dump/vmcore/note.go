package vmcore

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// notes is the PT_NOTE's content, and what there is to say about it. The order
// is QEMU's: processors, guest, and then our own.
func notes(m *guest.Machine, c *dump.Content, creator string) (notes []byte, remarks []string) {
	// Here go the notes of the processors, once guest.Machine has them.

	vmcoreinfo, err := guestNote(m.Arch.Order, m.VMCoreInfo)
	switch {
	case err != nil:
		remarks = append(remarks, fmt.Sprintf("the guest's VMCOREINFO is left out: %v", err))
	case vmcoreinfo == nil:
		remarks = append(remarks, "the guest left no VMCOREINFO: for a Linux guest crash may need --kaslr and -m phys_base, "+
			"and drgn and makedumpfile may refuse the file")
	}
	notes = append(notes, vmcoreinfo...)
	return appendNote(notes, m.Arch.Order, "GUESTCORE", 0, []byte(label(c, creator))), remarks
}

// label is the text of the GUESTCORE note, KEY=value lines as in VMCOREINFO.
// The note is always there, as readers expect one; its type 0 is what they
// skip: crash, makedumpfile and gdb look at names only then.
//
//	CREATOR=guestcore 0.1
//	ABSENT=0x40000000-0x40001000 the core is truncated
func label(c *dump.Content, creator string) string {
	if creator == "" {
		creator = "guestcore"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATOR=%s\n", oneLine(creator))
	for _, a := range c.Absent {
		fmt.Fprintf(&b, "ABSENT=%#x-%#x %s\n", uint64(a.Addr), uint64(a.Addr)+a.Size, oneLine(a.Reason))
	}
	return b.String()
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// appendNote adds a note: three words, the name with its NUL and the
// descriptor, both padded to 4 bytes in either class.
func appendNote(b []byte, order binary.ByteOrder, name string, typ uint32, desc []byte) []byte {
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

// guestNote checks that raw is one whole ELF note in the guest's byte order
// and returns it without what follows it, nil for nil.
func guestNote(order binary.ByteOrder, raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) < 12 {
		return nil, fmt.Errorf("%d bytes are too few for a note", len(raw))
	}
	name, desc := uint64(order.Uint32(raw)), uint64(order.Uint32(raw[4:]))
	end := 12 + (name+3)&^3 + desc
	if end > uint64(len(raw)) {
		return nil, fmt.Errorf("the note says it has %d bytes of name and %d of content, the guest gave %d in all", name, desc, len(raw))
	}
	return pad4(slices.Clone(raw[:end])), nil
}
