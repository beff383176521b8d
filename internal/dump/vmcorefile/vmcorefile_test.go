package vmcorefile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/extent"
)

// dump is an ELF dump to make.
type dump struct {
	class    elf.Class
	order    binary.ByteOrder
	sections bool             // the section headers first, as QEMU 7.2 writes them
	many     binary.ByteOrder // the number of headers is in section 0, in this order
	notes    string
	loads    []load
}

// load is a PT_LOAD: the bytes of the file from off, or where the last ended.
type load struct {
	paddr uint64
	data  string
	memsz uint64 // 0: as many as data
	off   uint64 // 0: behind the last
}

// bytes makes the file.
func (d dump) bytes() []byte {
	wide := d.class == elf.ELFCLASS64
	word := func(b []byte, v uint64) []byte {
		if wide {
			return d.order.(binary.AppendByteOrder).AppendUint64(b, v)
		}
		return d.order.(binary.AppendByteOrder).AppendUint32(b, uint32(v))
	}
	half := func(b []byte, v int) []byte { return d.order.(binary.AppendByteOrder).AppendUint16(b, uint16(v)) }
	quad := func(b []byte, v uint32) []byte { return d.order.(binary.AppendByteOrder).AppendUint32(b, v) }
	ehsize, phsize, shsize := 52, 32, 40
	if wide {
		ehsize, phsize, shsize = 64, 56, 64
	}
	n := 1 + len(d.loads)
	phoff, shoff := ehsize, 0
	if d.sections {
		shoff, phoff = ehsize, ehsize+2*shsize
	} else if d.many != nil {
		shoff = phoff + n*phsize
	}
	notes := phoff + n*phsize
	if !d.sections && shoff != 0 {
		notes += shsize
	}
	b := []byte{0x7f, 'E', 'L', 'F', byte(d.class), 1, 1}
	if d.order == binary.BigEndian {
		b[5] = 2
	}
	b = append(b, make([]byte, 9)...)
	b = quad(half(half(b, int(elf.ET_CORE)), int(elf.EM_X86_64)), 1)
	b = quad(word(word(word(b, 0), uint64(phoff)), uint64(shoff)), 0)
	phnum := n
	if d.many != nil {
		phnum = 0xffff
	}
	for _, v := range []int{ehsize, phsize, phnum, shsize, 0, 0} {
		b = half(b, v)
	}
	section := make([]byte, 2*shsize)
	if d.many != nil {
		info := 28
		if wide {
			info = 44
		}
		d.many.PutUint32(section[info:], uint32(n))
	}
	if d.sections {
		b = append(b, section...)
	}
	header := func(typ uint32, off, paddr, filesz, memsz uint64) {
		b = quad(b, typ)
		if wide {
			b = quad(b, 0)
		}
		b = word(word(word(word(word(b, off), paddr), paddr), filesz), memsz)
		if !wide {
			b = quad(b, 0)
		}
		b = word(b, 0)
	}
	header(4, uint64(notes), 0, uint64(len(d.notes)), uint64(len(d.notes)))
	at := uint64(notes + len(d.notes))
	var data []byte
	for _, l := range d.loads {
		off := at
		if l.off != 0 {
			off = l.off
		} else {
			data = append(data, l.data...)
			at += uint64(len(l.data))
		}
		header(1, off, l.paddr, uint64(len(l.data)), max(l.memsz, uint64(len(l.data))))
	}
	if !d.sections && shoff != 0 {
		b = append(b, section[:shsize]...)
	}
	return append(append(b, d.notes...), data...)
}

// mustOpen reads a file that is right.
func mustOpen(t *testing.T, b []byte) (*File, *Image) {
	t.Helper()
	f, err := New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	im, err := f.Image()
	if err != nil {
		t.Fatal(err)
	}
	return f, im
}

// text is what an image says: "0x0+4=abcd 0x10+2 lost".
func text(b []byte, im *Image) string {
	var parts []string
	for _, e := range im.Map.Extents() {
		s := fmt.Sprintf("%#x+%d", uint64(e.Addr), e.Size)
		if e.Kind == extent.Data {
			s += "=" + string(b[e.Off.Offset():e.Off.Offset()+int64(e.Size)])
		} else {
			s += " " + e.Kind.String()
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// forms are files of every form with the same loads.
func forms(loads []load) map[string]dump {
	out := map[string]dump{}
	for _, class := range []elf.Class{elf.ELFCLASS32, elf.ELFCLASS64} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, sections := range []bool{false, true} {
				d := dump{class: class, order: order, sections: sections, notes: "the notes", loads: loads}
				out[fmt.Sprint(class, order, sections)] = d
			}
		}
	}
	return out
}

func TestForms(t *testing.T) {
	loads := []load{{paddr: 0x100000, data: "high"}, {paddr: 0, data: "low"}, {paddr: 3, data: "more", memsz: 9}, {paddr: 0xf0000000, memsz: 16}}
	const want = "0x0+7=lowmore, 0x7+5 omitted, 0x100000+4=high, 0xf0000000+16 omitted"
	for name, d := range forms(loads) {
		b := d.bytes()
		// The third load goes on behind the second in memory and in the file.
		f, im := mustOpen(t, b)
		if got := text(b, im); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if string(f.Notes) != "the notes" || f.Class != d.class || f.Order != d.order || f.Machine != elf.EM_X86_64 {
			t.Errorf("%s: %+v", name, f)
		}
		if len(im.Ranges) != 3 || im.Ranges[0].Size != 12 {
			t.Errorf("%s: ranges %+v", name, im.Ranges)
		}
	}
}

// 65,535 headers and more are counted in section 0, which QEMU writes in the
// byte order of its host.
func TestMany(t *testing.T) {
	var loads []load
	for i := range uint64(70_000) {
		loads = append(loads, load{paddr: i * 2, data: string(rune('a' + i%26))})
	}
	slices.Reverse(loads)
	for name, d := range forms(loads) {
		d.many = d.order
		if d.sections {
			d.many = map[bool]binary.ByteOrder{true: binary.BigEndian, false: binary.LittleEndian}[d.order == binary.LittleEndian]
		}
		f, im := mustOpen(t, d.bytes())
		if len(f.Loads) != len(loads) || im.Map.Len() != len(loads) || im.Twice != 0 {
			t.Errorf("%s: %d loads, %d extents", name, len(f.Loads), im.Map.Len())
		}
		for i, e := range im.Map.Extents() {
			if uint64(e.Addr) != uint64(i)*2 || e.Size != 1 || e.Kind != extent.Data {
				t.Errorf("%s: extent %d is %+v", name, i, e)
				break
			}
		}
	}
}

func TestOverlap(t *testing.T) {
	d := dump{class: elf.ELFCLASS64, order: binary.LittleEndian}
	d.loads = []load{{paddr: 0x10, data: "0123456789"}, {}, {}}
	at := uint64(64 + 4*56) // of the data
	for _, c := range []struct {
		name  string
		loads []load
		want  string
		twice uint64
	}{
		{"a part, as in a dump with page tables", []load{{paddr: 0x12, data: "2345", off: at + 2}, {paddr: 0x18, data: "89", off: at + 8, memsz: 6}},
			"0x10+10=0123456789, 0x1a+4 omitted", 0},
		{"the same twice", []load{{paddr: 0x10, data: "0123456789", off: at}, {paddr: 0x10, data: "0123", off: at}}, "0x10+10=0123456789", 0},
		{"more on either side", []load{{paddr: 0xe, data: "no", off: at - 2}, {paddr: 0x8, memsz: 20}},
			"0x8+6 omitted, 0xe+12=??0123456789, 0x1a+2 omitted", 0},
		{"at another offset", []load{{paddr: 0x18, data: "0123", off: at}, {paddr: 0x40, data: ""}}, "0x10+10=0123456789, 0x1a+2=23", 2},
		{"behind the end", []load{{paddr: 0x30, data: "89----", off: at + 8}, {paddr: 0x40, data: "-", off: 1 << 40}},
			"0x10+10=0123456789, 0x30+2=89, 0x32+4 lost, 0x40+1 lost", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.loads = append(d.loads[:1], c.loads...)
			b := d.bytes()
			copy(b[at-2:], "??")
			if _, im := mustOpen(t, b); text(b, im) != c.want || im.Twice != c.twice {
				t.Errorf("%s, %d twice; want %s, %d", text(b, im), im.Twice, c.want, c.twice)
			}
		})
	}
}

func TestDamage(t *testing.T) {
	d := dump{class: elf.ELFCLASS64, order: binary.LittleEndian, notes: "note", loads: []load{{paddr: 0x1000, data: "data"}}}
	whole := d.bytes()
	const ph = 64 + 56 // of the PT_LOAD
	for _, c := range []struct {
		name string
		at   int
		with string
		want string
		off  int64
	}{
		{"class", 4, "\x03", "ELF class 3", 4},
		{"byte order", 5, "\x00", "byte order 0", 5},
		{"size of program headers", 54, "\x38\x01", "program headers of 312 bytes", 54},
		{"their place", 38, "\x01", "to be at 0x1000000000040", 32},
		{"their number", 56, "\x00\x01", "256 program headers", 56},
		{"place of the notes", 64 + 8 + 3, "\x01", "the notes are to be 4 bytes at 0x1000", 64},
		{"length of the notes", 64 + 32 + 7, "\x80", "the notes are to be", 64},
		{"offset of memory", ph + 8 + 7, "\x80", "at offset 0x80", ph},
		{"address of memory", ph + 24 + 7, "\x80", "at guest-physical 0x80", ph},
		{"size of memory", ph + 40, "\x03", "0x4 bytes in the file and 0x3 in memory", ph},
		{"size in the file", ph + 32 + 1, "\x01", "0x104 bytes in the file and 0x4", ph},
	} {
		b := bytes.Clone(whole)
		copy(b[c.at:], c.with)
		f, err := New(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			_, err = f.Image()
		}
		fe := (*FormatError)(nil)
		if !errors.As(err, &fe) || fe.Off != c.off || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q at %#x", c.name, err, c.want, c.off)
		}
	}
	for _, text := range []string{"", "\x7fELF", "hello, this is a longer text that is no ELF file at all, not at all", string(whole[:16]) + "\x02" + string(whole[17:])} {
		if _, err := New(strings.NewReader(text), int64(len(text))); !errors.Is(err, ErrFormat) {
			t.Errorf("%.8q: %v", text, err)
		}
	}
	for n := 52; n < len(whole)-len("data"); n++ { // cut anywhere before the memory
		if _, err := New(bytes.NewReader(whole[:n]), int64(n)); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

// FuzzNew wants an image whose parts lie in the file and in the ranges,
// whatever the file says.
func FuzzNew(f *testing.F) {
	for _, d := range forms([]load{{paddr: 0x1000, data: "data", memsz: 9}, {paddr: 0x1002, data: "ta", off: 300}}) {
		f.Add(d.bytes())
		d.many = binary.LittleEndian
		f.Add(d.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v *File
		var im *Image
		var err error
		n := dumptest.Allocated(func() {
			if v, err = New(bytes.NewReader(b), int64(len(b))); err == nil {
				im, err = v.Image()
			}
		})
		if n > uint64(len(b))*64+1<<20 {
			t.Errorf("%d bytes allocated for a file of %d", n, len(b))
		}
		if err != nil {
			return
		}
		size := uint64(0)
		for _, e := range im.Map.Extents() {
			size += e.Size
			if e.Kind == extent.Data && uint64(e.Off.Offset())+e.Size > uint64(len(b)) {
				t.Errorf("%+v is not in a file of %d bytes", e, len(b))
			}
		}
		if size != im.Size() {
			t.Errorf("%d bytes in the map, %d in the ranges", size, im.Size())
		}
		for _, l := range v.Loads { // all that the headers tell of is in the map
			known := uint64(0)
			for _, e := range im.Map.Clip(addr.GPA(l.Paddr), l.Memsz) {
				known += e.Size
			}
			if known != l.Memsz {
				t.Errorf("of %+v only %d bytes are in the map", l, known)
			}
		}
	})
}
