package dumpfile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

func openELF(path string) (*File, error) {
	v, err := vmcorefile.Open(path)
	if errors.Is(err, vmcorefile.ErrFormat) {
		return nil, fmt.Errorf("%w: %w", err, ErrNotDump)
	}
	if err != nil {
		return nil, err
	}
	f, err := newELF(v)
	if err != nil {
		v.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

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
	f.memory = &im.Image
	for _, e := range im.Map.Extents() {
		x := guest.Missing{Addr: e.Addr, Size: e.Size}
		switch e.Kind {
		case extent.Lost:
			x.Reason = behindEnd
			f.Lost = append(f.Lost, x)
		case extent.Omitted:
			x.Reason = leftOut
			if vbox {
				x.Reason = reasonOf(x, labelled)
			}
			f.Absent = append(f.Absent, x)
		default:
			if n := len(f.Ranges); n > 0 && f.Ranges[n-1].End() == e.Addr {
				f.Ranges[n-1].Size += e.Size
			} else {
				f.Ranges = append(f.Ranges, guest.Range{Addr: e.Addr, Size: e.Size})
			}
		}
	}
	if !vbox { // there the map has it
		f.Absent = append(f.Absent, labelled...)
	}
	if im.Twice > 0 {
		f.Problems = append(f.Problems, fmt.Sprintf("%d bytes of guest memory are in the file twice, at different offsets", im.Twice))
	}
	return f, nil
}

// leftOut is why memory is absent of which a file does not say more.
const leftOut = "was left out when the file was written"

// behindEnd is why memory is lost.
const behindEnd = "is behind the end of the file, which is cut short"

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
