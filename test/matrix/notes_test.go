package matrix

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"

	"guestcore/test/vmcore"
)

// difference is one between our notes and QEMU's.
type difference struct {
	cpu       int    // the how manieth note of its kind it is in
	note      string // name and type, "CORE/0x1"
	field     string // "" for a note that one of the two lacks
	ours, own string
}

func (d difference) Error() string {
	if d.field == "" {
		return fmt.Sprintf("note %s of CPU %d: ours has %s, QEMU's %s", d.note, d.cpu, d.ours, d.own)
	}
	return fmt.Sprintf("note %s of CPU %d, %s: ours has %s, QEMU's %s", d.note, d.cpu, d.field, d.ours, d.own)
}

// differences compares two lists of notes, one by one as they come, to the byte.
func differences(ours, own []vmcore.Note, header elf.FileHeader) []difference {
	var found []difference
	cpus := map[string]int{}
	for i := range max(len(ours), len(own)) {
		a, b := at(ours, i), at(own, i)
		name := nameOf(b)
		if b == nil {
			name = nameOf(a)
		}
		d := difference{cpu: cpus[name], note: name}
		cpus[name]++
		if a == nil || b == nil || nameOf(a) != nameOf(b) || len(a.Desc) != len(b.Desc) {
			d.ours, d.own = summary(a), summary(b)
			found = append(found, d)
			continue
		}
		before := len(found)
		for _, f := range fieldsOf(header, *b) {
			if d.ours, d.own = f.text(a.Desc, header.ByteOrder), f.text(b.Desc, header.ByteOrder); d.ours != d.own {
				d.field = f.name
				found = append(found, d)
			}
		}
		if len(found) == before && !bytes.Equal(a.Raw, b.Raw) {
			d.field, d.ours, d.own = "header or padding", fmt.Sprintf("%x", a.Raw), fmt.Sprintf("%x", b.Raw)
			found = append(found, d)
		}
	}
	return found
}

func at(notes []vmcore.Note, i int) *vmcore.Note {
	if i < len(notes) {
		return &notes[i]
	}
	return nil
}

func nameOf(n *vmcore.Note) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%s/%#x", n.Name, n.Type)
}

func summary(n *vmcore.Note) string {
	if n == nil {
		return "no note"
	}
	return fmt.Sprintf("%s of %d bytes", nameOf(n), len(n.Desc))
}

// field is a part of a note's descriptor.
type field struct {
	name     string
	off, end int
}

// text is the field's value: a number of at most 8 bytes, or bytes.
func (f field) text(desc []byte, order binary.ByteOrder) string {
	b := desc[f.off:f.end]
	switch len(b) {
	case 2:
		return fmt.Sprintf("%#x", order.Uint16(b))
	case 4:
		return fmt.Sprintf("%#x", order.Uint32(b))
	case 8:
		return fmt.Sprintf("%#x", order.Uint64(b))
	}
	return fmt.Sprintf("%x", b)
}

// fieldsOf returns the fields of a note, and as bytes what lies between them.
func fieldsOf(header elf.FileHeader, n vmcore.Note) []field {
	var all []field
	at := 0
	for _, f := range layouts[layoutKey{header.Machine, len(n.Desc), nameOf(&n)}] {
		if f.off > at {
			all = append(all, gap(at, f.off))
		}
		all = append(all, f)
		at = f.end
	}
	if at < len(n.Desc) {
		all = append(all, gap(at, len(n.Desc)))
	}
	return all
}

func gap(off, end int) field { return field{fmt.Sprintf("bytes %d-%d", off, end), off, end} }
