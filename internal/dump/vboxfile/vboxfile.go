// Package vboxfile reads the notes of a dump that VirtualBox wrote, or package
// vbox, of which it shares no code, so that it can be its judge: the version of
// the format and the processors' registers.
//
//	notes                  in sources of  processor
//	VBOXCORE, VBOXCPU      2010           CPUMCTX of 4.0, 1024 bytes
//	VBCORE, VBCPU 0x10000  2010 (4.0)     CPUMCTX of 4.0, 1024 bytes
//	              0x10000  2012 (4.2)     CPUMCTX of 4.2, 1088 bytes
//	              0x10005  2019 (6.0)     DBGFCORECPU, 8768 bytes
//	              0x10006  2023 (7.0)     DBGFCORECPU, 8776 bytes
//
// Registers of other versions are not read: where they lie is not known.
//
// It reads no memory: its neighbour vmcorefile has the program headers, and
// package dumpfile puts both together. It trusts nothing in a file and
// allocates less than the notes take.
package vboxfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"guestcore/internal/arch"
)

// ErrFormat means that no note is one of VirtualBox's.
var ErrFormat = errors.New("no dump of VirtualBox")

// Core is what the notes of a dump say.
type Core struct {
	// Version is that of the format, 0 in the form of 2010, which has none.
	Version uint32
	// VBox is the version of VirtualBox, such as 0x0700000a for 7.0.10, 0 if it
	// was another program; Revision that of its sources.
	VBox, Revision uint32
	CPUs           []CPU
}

// CPU is a processor.
type CPU struct {
	State *arch.X86 // nil if Err is not
	Err   error     // why its registers cannot be read
}

// Types of the notes, in any version.
const (
	typeCore = 0xb00
	typeCPU  = 0xb01
)

// magic begins a descriptor.
const magic = 0xc01ac0de

// Parse reads the notes of a dump, one behind the other as they are in the
// file. wide says that processors are of 64 bits. What cannot be read of a
// processor is in its Err; the error is [ErrFormat] or says where the notes are
// damaged.
func Parse(notes []byte, wide bool) (*Core, error) {
	var c *Core
	for at := 0; at < len(notes); {
		n, size, err := cut(notes[at:])
		if err != nil && c == nil { // of another program, and not ours to judge
			return nil, ErrFormat
		}
		if err != nil {
			return nil, fmt.Errorf("note at %#x: %w", at, err)
		}
		switch {
		case n.typ == typeCore && (n.name == "VBCORE" || n.name == "VBOXCORE"):
			if c, err = newCore(n); err != nil {
				return nil, fmt.Errorf("note at %#x: %w", at, err)
			}
		case n.typ == typeCPU && (n.name == "VBCPU" || n.name == "VBOXCPU") && c != nil:
			c.CPUs = append(c.CPUs, c.cpu(n.desc, wide))
		}
		at += size
	}
	if c == nil {
		return nil, ErrFormat
	}
	return c, nil
}

// note is an ELF note.
type note struct {
	name string
	typ  uint32
	desc []byte
}

// cut takes the first of some notes, and how many bytes it takes. VirtualBox
// pads to 8 bytes, other programs to 4; its names and contents are such that
// it is the same.
func cut(b []byte) (n note, size int, err error) {
	if len(b) < 12 {
		return n, 0, fmt.Errorf("%d bytes are too few", len(b))
	}
	name, desc := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	start := 12 + (name+3)&^3
	if end := start + desc; end > uint64(len(b)) {
		return n, 0, fmt.Errorf("a name of %d and a content of %d bytes, %d are left", name, desc, len(b))
	}
	text := b[12 : 12+name]
	if name > 0 && text[name-1] == 0 { // counted in 2010 only
		text = text[:name-1]
	}
	n = note{string(text), binary.LittleEndian.Uint32(b[8:]), b[start : start+desc]}
	return n, int(min(start+(desc+3)&^3, uint64(len(b)))), nil
}

// newCore reads a descriptor. That of 2010 has no version of the format, and
// what is behind its first word is not known.
func newCore(n note) (*Core, error) {
	d := n.desc
	if len(d) < 16 || n.name == "VBCORE" && len(d) < 24 {
		return nil, fmt.Errorf("a descriptor of %d bytes is too short", len(d))
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(d[4*i:]) }
	if word(0) != magic {
		return nil, fmt.Errorf("a descriptor begins with %#x, not with %#x", word(0), uint32(magic))
	}
	if n.name == "VBOXCORE" {
		return &Core{}, nil
	}
	return &Core{Version: word(1), VBox: word(3), Revision: word(4)}, nil
}

// cpu reads a processor.
func (c *Core) cpu(b []byte, wide bool) CPU {
	for _, l := range layouts {
		if c.Version >= l.first && c.Version <= l.last && len(b) == l.size {
			return CPU{State: l.read(b, wide)}
		}
	}
	return CPU{Err: fmt.Errorf("where the registers are in %d bytes of format %#x is not known", len(b), c.Version)}
}

// Product is the version of VirtualBox, "" if there is none.
func (c *Core) Product() string {
	if c.VBox == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", c.VBox>>24, c.VBox>>16&0xff, c.VBox&0xffff)
}
