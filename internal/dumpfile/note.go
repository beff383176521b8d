package dumpfile

import (
	"encoding/binary"
	"fmt"
)

// note is an ELF note.
type note struct {
	name string
	typ  uint32
	desc []byte
}

// parseNotes cuts notes apart: three words, then name and descriptor, both
// padded to four bytes in either class. It returns those before an error.
func parseNotes(order binary.ByteOrder, raw []byte) ([]note, error) {
	var notes []note
	for at := 0; at < len(raw); {
		rest := raw[at:]
		if len(rest) < 12 {
			return notes, fmt.Errorf("note %d: %d bytes are left, too few", len(notes), len(rest))
		}
		nameSize, descSize := uint64(order.Uint32(rest)), uint64(order.Uint32(rest[4:]))
		desc := 12 + (nameSize+3)&^3
		if desc+descSize > uint64(len(rest)) {
			return notes, fmt.Errorf("note %d: a name of %d and a content of %d bytes, %d are left", len(notes), nameSize, descSize, len(rest))
		}
		name := rest[12 : 12+nameSize]
		if n := len(name); n > 0 && name[n-1] == 0 { // VirtualBox writes no NUL
			name = name[:n-1]
		}
		notes = append(notes, note{string(name), order.Uint32(rest[8:]), rest[desc : desc+descSize]})
		at += int(min((desc+descSize+3)&^3, uint64(len(rest))))
	}
	return notes, nil
}

// Types of "CORE" notes that the core of a process has and no dump of a guest:
// struct elf_prpsinfo, the auxiliary vector, the mapped files (linux/elf.h).
const (
	ntPRPSINFO = 3
	ntAUXV     = 6
	ntFILE     = 0x46494c45
)

// ofProcess reports whether notes are those of a process's core.
func ofProcess(notes []note) bool {
	for _, n := range notes {
		if n.name == "CORE" && (n.typ == ntPRPSINFO || n.typ == ntAUXV || n.typ == ntFILE) {
			return true
		}
	}
	return false
}
