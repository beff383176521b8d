package matrix

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"guestcore/test/vmcore"
)

// difference is one between our dump and QEMU's.
type difference struct {
	note      string // name and type, "CORE/0x1", or "ELF header"
	cpu       int    // the how manieth note of its kind it is in
	field     string // "" for a note that one of the two lacks
	ours, own string
}

func (d difference) Error() string {
	return fmt.Sprintf("%s of CPU %d, %s: ours has %s, QEMU's %s", d.note, d.cpu, d.field, d.ours, d.own)
}

// headerDifferences compares what the ELF headers say of the guest.
func headerDifferences(ours, own elf.FileHeader) []difference {
	var found []difference
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"class", ours.Class, own.Class},
		{"data", ours.Data, own.Data},
		{"machine", ours.Machine, own.Machine},
		{"type", ours.Type, own.Type},
		{"version", ours.Version, own.Version},
		{"OS ABI", ours.OSABI, own.OSABI},
		{"entry", ours.Entry, own.Entry},
	} {
		if f.a != f.b {
			found = append(found, difference{note: "ELF header", field: f.name, ours: fmt.Sprint(f.a), own: fmt.Sprint(f.b)})
		}
	}
	return found
}

// notes are those of a dump that QEMU writes too: all but guestcore's own, which is the last.
func notes(f *vmcore.File) []vmcore.Note {
	n := len(f.Notes)
	if n > 0 && f.Notes[n-1].Name == "GUESTCORE" {
		n--
	}
	return f.Notes[:n]
}

// noteDifferences compares the notes, one by one as they come, to the byte. Both files have the same byte order.
func noteDifferences(ours, own *vmcore.File) []difference {
	var found []difference
	seen := map[string]int{}
	a, b, order := notes(ours), notes(own), own.Header.ByteOrder
	for i := range max(len(a), len(b)) {
		d := difference{ours: summary(a, i), own: summary(b, i)}
		if i < len(b) {
			d.note = name(b[i])
		} else {
			d.note = name(a[i])
		}
		d.cpu = seen[d.note]
		seen[d.note]++
		if d.ours != d.own {
			found = append(found, d)
			continue
		}
		before := len(found)
		for _, f := range fieldsOf(own.Header.Machine, b[i]) {
			if d.ours, d.own = f.text(a[i].Desc, order), f.text(b[i].Desc, order); d.ours != d.own {
				d.field = f.name
				found = append(found, d)
			}
		}
		if len(found) == before && !bytes.Equal(a[i].Raw, b[i].Raw) {
			d.field, d.ours, d.own = "header or padding", fmt.Sprintf("%x", a[i].Raw), fmt.Sprintf("%x", b[i].Raw)
			found = append(found, d)
		}
	}
	return found
}

func name(n vmcore.Note) string { return fmt.Sprintf("%s/%#x", n.Name, n.Type) }

// summary tells two kinds of notes apart.
func summary(notes []vmcore.Note, i int) string {
	if i >= len(notes) {
		return "no note"
	}
	return fmt.Sprintf("%s of %d bytes", name(notes[i]), len(notes[i].Desc))
}

// field is a part of a note's descriptor.
type field struct {
	name     string
	off, end int
}

// text is the field's value: a number of 2, 4, 8 or 16 bytes, else bytes.
func (f field) text(desc []byte, order binary.ByteOrder) string {
	b := slices.Clone(desc[f.off:f.end])
	switch len(b) {
	case 2, 4, 8, 16:
		if order == binary.LittleEndian {
			slices.Reverse(b)
		}
		return fmt.Sprintf("%#x", new(big.Int).SetBytes(b))
	}
	return fmt.Sprintf("%x", b)
}

// fieldsOf returns the fields of a note, and as bytes what lies between them.
func fieldsOf(machine elf.Machine, n vmcore.Note) []field {
	var all []field
	at := 0
	for _, f := range layouts[layoutKey{machine, len(n.Desc), name(n)}] {
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
