package vbox

import (
	"bytes"
	"encoding/binary"
)

// Types of VirtualBox's notes (DBGFInternal.h).
const (
	ntCore = 0xb00
	ntCPU  = 0xb01
)

// descriptor is DBGFCOREDESCRIPTOR (include/VBox/vmm/dbgfcorefmt.h), 24 bytes.
// The version and the revision of VirtualBox are 0: it was not there.
func descriptor(version uint32, cpus int) []byte {
	var b bytes.Buffer
	put(&b, struct{ Magic, Format, Size, Version, Revision, CPUs uint32 }{Magic: 0xc01ac0de, Format: version, Size: 24, CPUs: uint32(cpus)})
	return b.Bytes()
}

// appendNote adds a note as VirtualBox writes it: name and content are padded
// to 8 bytes, and the length of the name leaves its NUL out. Names and
// contents are such that readers who pad to 4 bytes find the same.
func appendNote(b []byte, name string, typ uint32, desc []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)+7)&^7)
	b = binary.LittleEndian.AppendUint32(b, typ)
	b = append(b, pad8(append([]byte(name), 0))...)
	return append(b, pad8(desc)...)
}

func pad8(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }
