package windows

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The ELF note in which the driver fwcfg of virtio-win hands over the header:
//
//	0   namesz 11, descsz, type 0: u32
//	12  "VMCOREINFO\0" and a byte of padding
//	24  the header, 8192 or 4096 bytes
const (
	noteName   = "VMCOREINFO\x00"
	noteNameAt = 12
	noteDescAt = 24
)

// errNoNote means that the guest handed nothing over.
var errNoNote = errors.New("the guest left no crash dump header with QEMU: " +
	"that takes -device vmcoreinfo and, in the guest, the fwcfg driver of virtio-win; the elf format does without")

// FromNote is the header in a note, which stays as it is. The error says what
// is wrong with the note, and what to do.
func FromNote(note []byte) (Header, error) {
	if len(note) == 0 {
		return nil, errNoNote
	}
	le := binary.LittleEndian
	if len(note) < noteDescAt || le.Uint32(note) != uint32(len(noteName)) || string(note[noteNameAt:][:len(noteName)]) != noteName {
		return nil, errors.New("what the guest left with QEMU is no VMCOREINFO note of a little-endian machine: " +
			"it has no Windows crash dump header, use the elf format")
	}
	desc := note[noteDescAt:]
	size := uint64(le.Uint32(note[4:]))
	if size > uint64(len(desc)) {
		return nil, fmt.Errorf("the guest's VMCOREINFO note says that it has %d bytes of contents, and there are %d: use the elf format", size, len(desc))
	}
	desc = desc[:size]
	switch {
	case bytes.HasPrefix(desc, []byte("OSRELEASE=")):
		return nil, errors.New("the guest's VMCOREINFO note is that of a Linux kernel, and a Windows crash dump is one of Windows: use elf or one of the kdump formats")
	case size != HeaderSize64 && size != HeaderSize32:
		return nil, fmt.Errorf("the guest's VMCOREINFO note has %d bytes of contents, and a Windows crash dump header has %d or %d: "+
			"the guest is no Windows, or its driver another one; use the elf format", size, HeaderSize64, HeaderSize32)
	}
	h, err := ParseHeader(bytes.Clone(desc))
	if err != nil {
		return nil, fmt.Errorf("the guest's VMCOREINFO note: %w; use the elf format", err)
	}
	return h, nil
}
