package dumpfile

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump/notefile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Guest is the machine that the file is a dump of, as another dump takes it.
// The architecture is settled as by [File.Arch]. The file stays open as long as
// memory is read.
func (f *File) Guest(archName string) (*guest.Machine, error) {
	g, err := f.Arch(archName)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	m := &guest.Machine{Arch: g, CPUs: f.processors(g), Devices: f.Devices, Windows: f.windows, NotedIn: "the dump"}
	m.Image, m.Missing, err = f.image()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.findROM(m)
	if n := f.note("VMCOREINFO"); n.name != "" {
		m.VMCoreInfo = encodeNote(f.Order, n)
	}
	for _, p := range f.Problems {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%s: %s", f.Path, p))
	}
	f.readLabel(m)
	return m, nil
}

// processors are the processors as the machine g has them. Registers are of
// one architecture only, and notes too.
func (f *File) processors(g arch.Guest) []guest.CPU {
	cpus := slices.Clone(f.CPUs)
	if cpus == nil && f.Order == g.Order {
		var labels []notefile.Label
		for _, l := range f.cpuLabels() {
			labels = append(labels, notefile.Label{Index: l.index, Trust: l.trust, Reason: l.reason})
		}
		cpus = notefile.CPUs(g, f.guestNotes(), labels)
	}
	own, err := f.Arch("")
	if err == nil && own.Name == g.Name {
		return cpus
	}
	for i := range cpus {
		cpus[i].Notes = nil
		if _, ok := cpus[i].State.(*arch.X86); !ok || g.Machine != elf.EM_386 && g.Machine != elf.EM_X86_64 {
			cpus[i].State, cpus[i].Trust, cpus[i].Reason = nil, guest.Unknown, "the dump is of another architecture"
		}
	}
	return cpus
}

// image is the memory in the file and what is missing of it.
func (f *File) image() (*guest.Image, []guest.Missing, error) {
	im := &guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}
	known := &extent.Map[addr.GPA, addr.FileOff]{}
	if stored, ok := f.memory.(*guest.Image); ok { // where in the file each byte lies
		known, im.Files = stored.Map, stored.Files
	} else {
		im.Files = []addr.Source{unpacked{f}}
		for _, r := range f.Ranges {
			if int64(r.End()) < 0 || int64(r.End()) > addr.MaxFileOff {
				return nil, nil, fmt.Errorf("guest memory at %#x: no dump of such memory can be read", uint64(r.Addr))
			}
			if err := known.Insert(piece{Addr: r.Addr, Size: r.Size, Off: addr.InFile(0, int64(r.Addr))}); err != nil {
				return nil, nil, fmt.Errorf("guest memory: %w", err)
			}
		}
	}
	var missing []guest.Missing
	im.Ranges = slices.Clone(f.Ranges)
	pieces := slices.DeleteFunc(slices.Clone(known.Extents()), func(e piece) bool { return !e.Kind.Present() })
	for _, x := range slices.Concat(f.Absent, f.Lost) {
		for _, gap := range gaps(known, x) {
			missing = append(missing, gap)
			im.Ranges = append(im.Ranges, guest.Range{Addr: gap.Addr, Size: gap.Size})
			pieces = append(pieces, piece{Addr: gap.Addr, Size: gap.Size, Kind: extent.Omitted})
		}
	}
	im.Ranges = join(im.Ranges)
	slices.SortFunc(missing, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.Addr, b.Addr) })
	for _, e := range pieces { // in order, so that each goes to the end
		if err := im.Map.Insert(e); err != nil {
			return nil, nil, fmt.Errorf("guest memory: %w", err)
		}
	}
	return im, missing, nil
}

type piece = extent.Extent[addr.GPA, addr.FileOff]

// gaps is what of x no byte is known of.
func gaps(known *extent.Map[addr.GPA, addr.FileOff], x guest.Missing) []guest.Missing {
	var out []guest.Missing
	at, end := x.Addr, x.Addr+addr.GPA(x.Size)
	gap := func(to addr.GPA) {
		if to > at {
			out = append(out, guest.Missing{Addr: at, Size: uint64(to - at), Reason: x.Reason})
		}
	}
	for _, e := range known.Clip(x.Addr, x.Size) {
		if e.Kind.Present() {
			gap(e.Addr)
			at = e.End()
		}
	}
	gap(end)
	return out
}

// join puts ranges in order and makes one of those that meet.
func join(ranges []guest.Range) []guest.Range {
	slices.SortFunc(ranges, func(a, b guest.Range) int { return cmp.Compare(a.Addr, b.Addr) })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 && out[n-1].End() >= r.Addr {
			out[n-1].Size = max(out[n-1].Size, uint64(r.End()-out[n-1].Addr))
			continue
		}
		out = append(out, r)
	}
	return out
}

// unpacked is the memory of a file that does not store it plainly, as a source
// that is read at guest-physical addresses.
type unpacked struct{ f *File }

func (u unpacked) Name() string { return u.f.Path }

func (u unpacked) ReadAt(p []byte, off int64) (int, error) { return u.f.ReadAt(p, off) }

// NextData is as package dump asks for it: zeros that the file's own tables
// tell, then what has to be read.
func (u unpacked) NextData(off, n int64) (hole, data int64) {
	if t, ok := u.f.memory.(zeroTeller); ok {
		return t.Zeros(off, n)
	}
	return 0, n
}

// zeroTeller is memory whose tables tell zeros, as those of kdump files.
type zeroTeller interface {
	Zeros(off, n int64) (zeros, data int64)
}

// toldZero reports whether n bytes are told to be zeros.
func toldZero(t zeroTeller, a addr.GPA, n uint64) bool {
	zeros, _ := t.Zeros(int64(a), int64(n))
	return uint64(zeros) == n
}

// Where a PC's processor begins to run is the firmware's ROM, which ends at
// 4 GiB. No dump says what is ROM.
const (
	romEnd  = 1 << 32
	romSize = 16 << 20 // at most
)

// findROM marks what by its place can only be ROM.
func (f *File) findROM(m *guest.Machine) {
	if m.Arch.Machine != elf.EM_X86_64 && m.Arch.Machine != elf.EM_386 {
		return
	}
	for i, r := range m.Image.Ranges {
		if r.End() == romEnd && r.Size <= romSize {
			m.Image.Ranges[i].ROM = true
			m.Notes = append(m.Notes, fmt.Sprintf("%#x-%#x is taken for the firmware's ROM, by its place", uint64(r.Addr), uint64(r.End())))
		}
	}
}

// encodeNote is a note as it is in a file.
func encodeNote(order binary.ByteOrder, n note) []byte {
	name := append([]byte(n.name), 0)
	b := make([]byte, 12, 12+len(name)+len(n.desc)+6)
	order.PutUint32(b, uint32(len(name)))
	order.PutUint32(b[4:], uint32(min(len(n.desc), math.MaxUint32)))
	order.PutUint32(b[8:], n.typ)
	b = append(b, name...)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, n.desc...)
	return append(b, make([]byte, -len(b)&3)...)
}

// readLabel takes what guestcore's own note says of the whole.
func (f *File) readLabel(m *guest.Machine) {
	for line := range strings.Lines(string(f.note("GUESTCORE").desc)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch key {
		case "SEALED":
			m.Sealed = value
		case "CONTEXTS": // the header is in the note, as it was in the Windows crash dump
			m.Windows = &guest.Windows{Header: f.note("VMCOREINFO").desc, Origin: "the dump", Kept: true}
		case "WINDOW":
			m.Warnings = append(m.Warnings, fmt.Sprintf("%s has only the guest memory that was asked for when it was written: %s", f.Path, value))
		}
	}
}
