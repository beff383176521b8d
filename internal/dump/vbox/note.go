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

// form is how notes are written.
type form struct {
	core, cpu  string // their names
	align      int    // of names and contents, bytes
	counted    bool   // the length of a name has its NUL in it
	descriptor func(version uint32, cpus int) []byte
}

var (
	// current pads to 8 bytes. Names and contents are such that readers who pad
	// to 4 bytes find the same.
	current = form{"VBCORE", "VBCPU", 8, false, descriptor}
	// first is that of 2010 (src/VBox/VMM/DBGFCoreWrite.cpp).
	first = form{"VBOXCORE", "VBOXCPU", 4, true, firstDescriptor}
)

// descriptor is DBGFCOREDESCRIPTOR (include/VBox/vmm/dbgfcorefmt.h), 24 bytes.
// The version and the revision of VirtualBox are 0: it was not there.
func descriptor(version uint32, cpus int) []byte {
	var b bytes.Buffer
	put(&b, struct{ Magic, Format, Size, Version, Revision, CPUs uint32 }{Magic: magic, Format: version, Size: 24, CPUs: uint32(cpus)})
	return b.Bytes()
}

// firstDescriptor is that of 2010, 16 bytes by the members that are known of
// it.
func firstDescriptor(_ uint32, cpus int) []byte {
	var b bytes.Buffer
	put(&b, struct{ Magic, Version, Revision, CPUs uint32 }{Magic: magic, CPUs: uint32(cpus)})
	return b.Bytes()
}

const magic = 0xc01ac0de

// append adds a note. The length of its content is that of the padded one, as
// VirtualBox has it.
func (f form) append(b []byte, name string, typ uint32, desc []byte) []byte {
	length := len(name)
	if f.counted {
		length++
	}
	desc = f.pad(desc)
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, typ)
	return append(append(b, f.pad(append([]byte(name), 0))...), desc...)
}

func (f form) pad(b []byte) []byte { return append(b, make([]byte, -len(b)&(f.align-1))...) }
