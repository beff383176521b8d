package dumpfile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/guest"
)

func newELF(v *vmcorefile.File) (*File, error) {
	f := &File{
		Format: fmt.Sprintf("ELF, %s", machineName(v.Class, v.Order, v.Machine)),
		Class:  v.Class, Order: v.Order, Machine: v.Machine, Block: 1, close: v.Close,
	}
	f.readNotes(v.Notes)
	if ofProcess(f.notes) {
		return nil, ErrProcess
	}
	labelled := f.labelled()
	vbox := f.readVBox(v)
	im, err := v.Image()
	if err != nil {
		return nil, err
	}
	if vbox {
		if im.Map, err = omit(im.Map, labelled); err != nil {
			return nil, err
		}
	}
	f.takeImage(&im.Image)
	if vbox { // the map has it
		for i, x := range f.Absent {
			f.Absent[i].Reason = reasonOf(x, labelled)
		}
	} else {
		f.Absent = append(f.Absent, labelled...)
	}
	if im.Twice > 0 {
		f.Problems = append(f.Problems, fmt.Sprintf("%d bytes of guest memory are in the file twice, at different offsets", im.Twice))
	}
	return f, nil
}

// machineName is "64-bit little-endian EM_X86_64".
func machineName(class elf.Class, order binary.ByteOrder, machine elf.Machine) string {
	bits, endian := "64", "little"
	if class == elf.ELFCLASS32 {
		bits = "32"
	}
	if order == binary.BigEndian {
		endian = "big"
	}
	name := fmt.Sprintf("%s-bit %s-endian", bits, endian)
	if machine != elf.EM_NONE {
		name += " " + machine.String()
	}
	return name
}

// labelled is the memory that the GUESTCORE note says is absent, which is in
// lines ABSENT=0x40000000-0x40001000 REASON.
func (f *File) labelled() []guest.Missing {
	var out []guest.Missing
	for line := range strings.Lines(string(f.note("GUESTCORE").desc)) {
		value, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "ABSENT=")
		if !ok {
			continue
		}
		span, reason, _ := strings.Cut(value, " ")
		from, to, _ := strings.Cut(span, "-")
		start, err1 := strconv.ParseUint(from, 0, 63)
		end, err2 := strconv.ParseUint(to, 0, 63)
		if err1 != nil || err2 != nil || start >= end {
			f.Problems = append(f.Problems, fmt.Sprintf("the GUESTCORE note has a line that cannot be read: %q", line))
			continue
		}
		out = append(out, guest.Missing{Addr: addr.GPA(start), Size: end - start, Reason: reason})
	}
	return out
}
