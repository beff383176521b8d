package vmcore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest"
)

type elfNote struct {
	Name string
	Type uint32
	Desc string
}

// readNotes splits the PT_NOTE of a file, which has to be notes to the end.
func readNotes(t testing.TB, path string) []elfNote {
	t.Helper()
	f := open(t, path)
	b, err := io.ReadAll(f.Progs[0].Open())
	if err != nil {
		t.Fatal(err)
	}
	var notes []elfNote
	for len(b) > 0 {
		if len(b) < 12 {
			t.Fatalf("%d bytes behind the last note", len(b))
		}
		name, desc := int(f.ByteOrder.Uint32(b)), int(f.ByteOrder.Uint32(b[4:]))
		n := elfNote{Type: f.ByteOrder.Uint32(b[8:])}
		b = b[12:]
		n.Name = string(bytes.TrimSuffix(b[:name], []byte{0}))
		b = b[(name+3)&^3:]
		n.Desc = string(b[:desc])
		b = b[(desc+3)&^3:]
		notes = append(notes, n)
	}
	return notes
}

func TestGuestNote(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	const text = "OSRELEASE=6.1.0\nX=1\n\n" // 21 bytes: needs padding
	whole := note.Append(nil, le, "VMCOREINFO", 0, []byte(text))
	ours := elfNote{Name: "GUESTCORE", Desc: "CREATOR=guestcore 0.1\n"}
	for _, tt := range []struct {
		name string
		arch string
		raw  []byte
		want []elfNote
		said string // in the remarks
	}{
		{"none", "X86_64", nil, []elfNote{ours}, "the file has no VMCOREINFO"},
		{"whole", "X86_64", whole, []elfNote{{"VMCOREINFO", 0, text}, ours}, ""},
		{"big-endian", "s390", note.Append(nil, be, "VMCOREINFO", 0, []byte(text)), []elfNote{{"VMCOREINFO", 0, text}, ours}, ""},
		{"without its padding", "X86_64", whole[:24+len(text)], []elfNote{{"VMCOREINFO", 0, text}, ours}, ""},
		{"in a larger buffer", "X86_64", append(whole[:len(whole):len(whole)], make([]byte, 100)...), []elfNote{{"VMCOREINFO", 0, text}, ours}, ""},
		{"cut short", "X86_64", whole[:24+len(text)-1], []elfNote{ours}, "is left out"},
		{"not even a header", "X86_64", whole[:11], []elfNote{ours}, "is left out"},
		{"other byte order", "s390", whole, []elfNote{ours}, "is left out"},
		{"sizes that wrap", "X86_64", bytes.Repeat([]byte{0xff}, 64), []elfNote{ours}, "is left out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := dumptest.Machine(t, t.TempDir(), guestArch(t, tt.arch), pc...)
			m.VMCoreInfo = bytes.Clone(tt.raw)
			path, s := write(t, m, dump.Options{Creator: "guestcore 0.1"})
			if diff := cmp.Diff(tt.want, readNotes(t, path)); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(m.VMCoreInfo, tt.raw) {
				t.Error("the machine's note changed")
			}
			if remarks := strings.Join(s.Remarks, "\n"); !strings.Contains(remarks, tt.said) || tt.said == "" && remarks != "" {
				t.Errorf("remarks %q, want … %s …", remarks, tt.said)
			}
		})
	}
}

// holed is a guest of which parts are not in the source.
var holed = []dumptest.Part{
	{Addr: 0x0000, Size: 0x4000},
	{Addr: 0x4000, Size: 0x1000, Kind: dumptest.Lost},
	{Addr: 0x5000, Size: 0x2000, Kind: dumptest.Zero},
	{Addr: 0x7000, Size: 0x1000, Kind: dumptest.Absent},
	{Addr: 0x10000, Size: 0x2000, Kind: dumptest.Lost},
	{Addr: 0x20000, Size: 0x3000},
}

func TestAbsentMemoryIsRefused(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), holed...)
	m.Missing = []guest.Missing{{Addr: 0x4000, Size: 0x1000, Reason: "is behind the end of the core"}}
	_, err := Format{}.Plan(m, dump.Options{})
	var missing *dump.MissingError
	if !errors.As(err, &missing) {
		t.Fatalf("Plan: %v, want a MissingError", err)
	}
	for _, want := range []string{"16.0 KiB", "0x4000-0x5000 is behind the end of the core", "0x10000-0x12000 is not in the source", "--partial"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// A source with no guest memory at all is not told to take the rest.
func TestNothingIsRefused(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), dumptest.Part{Addr: 0x4000, Size: 0x1000, Kind: dumptest.Lost})
	_, err := Format{}.Plan(m, dump.Options{Partial: true})
	if err == nil || !strings.Contains(err.Error(), "all 4.0 KiB are absent") || strings.Contains(err.Error(), "--partial") {
		t.Errorf("Plan: %v", err)
	}
}

func TestPartialLabels(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), holed...)
	m.Missing = []guest.Missing{
		{Addr: 0x10000, Size: 0x800, Reason: "is in\na file"}, // half of a range
		{Addr: 0x4000, Size: 0x1000, Reason: "is behind the end of the core"},
		{Addr: 0x21000, Size: 0x1000, Reason: "is doubtful"}, // though the map has it
	}
	path, s := write(t, m, dump.Options{Partial: true})
	wantAbsent := []guest.Missing{
		{Addr: 0x4000, Size: 0x1000, Reason: "is behind the end of the core"},
		{Addr: 0x7000, Size: 0x1000, Reason: "is not in the source"},
		{Addr: 0x10000, Size: 0x800, Reason: "is in\na file"},
		{Addr: 0x10800, Size: 0x1800, Reason: "is not in the source"},
		{Addr: 0x21000, Size: 0x1000, Reason: "is doubtful"},
	}
	if diff := cmp.Diff(wantAbsent, s.Absent); diff != "" {
		t.Error(diff)
	}
	checkMemory(t, open(t, path), []guest.Range{
		{Addr: 0, Size: 0x4000}, {Addr: 0x5000, Size: 0x2000}, {Addr: 0x20000, Size: 0x1000}, {Addr: 0x22000, Size: 0x1000},
	}, holed)
	want := `CREATOR=guestcore
ABSENT=0x4000-0x5000 is behind the end of the core
ABSENT=0x7000-0x8000 is not in the source
ABSENT=0x10000-0x10800 is in a file
ABSENT=0x10800-0x12000 is not in the source
ABSENT=0x21000-0x22000 is doubtful
`
	if diff := cmp.Diff([]elfNote{{Name: "GUESTCORE", Desc: want}}, readNotes(t, path)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(s.String(), "absent: 0x10800-0x12000 is not in the source") {
		t.Errorf("the summary does not tell:\n%v", s)
	}
}

// Memory that is not what the guest sees is labelled in the file too.
func TestSealedLabel(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), guestArch(t, "X86_64"), dumptest.Part{Addr: 0, Size: 0x1000})
	m.Sealed = "it is ciphertext"
	path, _ := write(t, m, dump.Options{Partial: true})
	if diff := cmp.Diff([]elfNote{{Name: "GUESTCORE", Desc: "CREATOR=guestcore\nSEALED=it is ciphertext\n"}}, readNotes(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestNothingThereIsRefusedEvenPartial(t *testing.T) {
	g := guestArch(t, "X86_64")
	for name, parts := range map[string][]dumptest.Part{
		"all lost":  {{Addr: 0, Size: 0x1000, Kind: dumptest.Lost}},
		"no memory": {},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := (Format{}).Plan(dumptest.Machine(t, t.TempDir(), g, parts...), dump.Options{Partial: true}); err == nil {
				t.Error("planned")
			}
		})
	}
}

// FuzzPlan makes a guest out of bytes, four for a part: the gap before it and
// its size in 512 bytes, its kind, its neighbourhood. The file read back has
// to give what was put in, and to tell of every byte it lacks.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{0, 8, 0, 0, 0, 1, 1, 0, 3, 3, 2, 0, 0, 9, 3, 1, 0, 5, 4, 0, 250, 7, 0, 1}, uint8(2))
	f.Add([]byte{255, 255, 0, 0}, uint8(3))
	names := []string{"X86_64", "386", "s390", "aarch64-be"}
	f.Fuzz(func(t *testing.T, recipe []byte, pick uint8) {
		var parts []dumptest.Part
		var absent, present uint64
		for at := uint64(0); len(recipe) >= 4 && len(parts) < 40; recipe = recipe[4:] {
			at += uint64(recipe[0]) * 512
			p := dumptest.Part{Addr: addr.GPA(at), Size: (1 + uint64(recipe[1])) * 512, Kind: dumptest.Kind(recipe[2] % 5), Split: recipe[3]&1 != 0}
			at += p.Size
			parts = append(parts, p)
			if p.Kind == dumptest.Absent || p.Kind == dumptest.Lost {
				absent += p.Size
			} else {
				present += p.Size
			}
		}
		m := dumptest.Machine(t, t.TempDir(), guestArch(t, names[int(pick)%len(names)]), parts...)
		job, err := Format{}.Plan(m, dump.Options{Partial: true, Align: 512 << (pick % 8)})
		if present == 0 {
			if err == nil {
				t.Fatal("planned a dump of nothing")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Format{}).Plan(m, dump.Options{}); (err != nil) != (absent > 0) {
			t.Fatalf("%d bytes absent, without partial: %v", absent, err)
		}
		path := t.TempDir() + "/vmcore"
		s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var labelled, written uint64
		for _, a := range s.Absent {
			labelled += a.Size
		}
		want := map[uint64]bool{} // addresses, in 512 bytes, that have to be there
		for _, p := range parts {
			if p.Kind < dumptest.Absent {
				for a := uint64(0); a < p.Size; a += 512 {
					want[uint64(p.Addr)+a] = true
				}
			}
		}
		for _, p := range loads(open(t, path)) {
			got, err := io.ReadAll(p.Open())
			if err != nil || uint64(len(got)) != p.Memsz {
				t.Fatalf("%#x: %d of %d bytes: %v", p.Paddr, len(got), p.Memsz, err)
			}
			if !bytes.Equal(got, dumptest.Want(parts, addr.GPA(p.Paddr), p.Memsz)) {
				t.Fatalf("%#x: wrong bytes", p.Paddr)
			}
			for a := uint64(0); a < p.Memsz; a += 512 {
				if !want[p.Paddr+a] {
					t.Fatalf("%#x is in the file, not in the guest or twice", p.Paddr+a)
				}
				delete(want, p.Paddr+a)
			}
			written += p.Memsz
		}
		if len(want) > 0 || labelled != absent || written != present || s.Memory != int64(present) {
			t.Fatalf("written %d of %d (summary: %d), labelled %d of %d", written, present, s.Memory, labelled, absent)
		}
	})
}
