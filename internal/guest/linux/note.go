package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// The ELF note that holds VMCOREINFO in the kernel's memory:
//
//	0   namesz 11, descsz, type 0: u32 in the guest's byte order
//	12  "VMCOREINFO\0" and a byte of padding
//	24  the text, descsz bytes
const (
	noteName   = "VMCOREINFO\x00"
	noteNameAt = 12
	noteTextAt = 24
	// maxText is the largest text that is believed, bytes: what QEMU takes.
	// Kernels have a page or two.
	maxText = 1 << 20
)

// note is a VMCOREINFO note.
type note struct {
	addr   addr.GPA // of its header; 0 for one that somebody handed over
	handed bool
	raw    []byte // all of it
	text   []byte // in raw
	info   Info
}

// parseNote reads the note that p begins with.
func parseNote(order binary.ByteOrder, p []byte) (*note, error) {
	if len(p) < noteTextAt {
		return nil, fmt.Errorf("%d bytes are too few for a note", len(p))
	}
	size := uint64(order.Uint32(p[4:]))
	switch {
	case order.Uint32(p) != uint32(len(noteName)), order.Uint32(p[8:]) != 0, string(p[noteNameAt:][:len(noteName)]) != noteName:
		return nil, fmt.Errorf("it has not the header of a VMCOREINFO note")
	case size > maxText || noteTextAt+size > uint64(len(p)):
		return nil, fmt.Errorf("its text of %d bytes is longer than what there is", size)
	}
	n := &note{raw: p[:noteTextAt+size], text: p[noteTextAt:][:size]}
	n.info = ParseInfo(n.text)
	return n, nil
}

// readNote reads the note at an address.
func readNote(im *guest.Image, order binary.ByteOrder, a addr.GPA) (*note, error) {
	head := make([]byte, noteTextAt)
	if _, err := im.ReadAt(head, int64(a)); err != nil {
		return nil, err
	}
	size := order.Uint32(head[4:])
	if size > maxText {
		return nil, fmt.Errorf("a text of %d bytes cannot be", size)
	}
	whole := make([]byte, noteTextAt+int(size+3)&^3)
	if _, err := im.ReadAt(whole, int64(a)); err != nil {
		return nil, err
	}
	n, err := parseNote(order, whole)
	if err != nil {
		return nil, err
	}
	n.addr, n.raw = a, whole
	return n, nil
}

// complete reports whether the note is a whole one, and names the symbol that
// tells whether it is the running kernel's.
func (n *note) complete() bool {
	_, ok := n.info.Symbol(witness)
	return ok && n.info.Release() != "" && wellFormed(string(n.text))
}

// same reports whether two notes say the same.
func (n *note) same(m *note) bool { return bytes.Equal(n.text, m.text) }

func (n *note) String() string {
	if n.handed {
		return "the one in the vmcoreinfo device"
	}
	return fmt.Sprintf("the one at %#x", uint64(n.addr))
}
