package vboxfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/vbox"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/guest"
)

// random is a processor with all registers known. Of vectors it has xmm, ymm
// or all there is.
func random(r *rand.Rand, wide bool) *arch.X86 {
	s := &arch.X86{DR: &[8]uint64{}, Syscall: &arch.X86Syscall{}, Sysenter: &arch.X86Sysenter{}}
	for _, p := range []**uint64{&s.PAT, &s.TSCAux, &s.XCR0, &s.APICBase} {
		*p = new(uint64)
	}
	fill(r, reflect.ValueOf(s).Elem())
	s.Wide, s.CR[1] = wide, 0
	for _, x := range []*arch.X86Segment{&s.Segs[0], &s.Segs[1], &s.Segs[2], &s.Segs[3], &s.Segs[4], &s.Segs[5], &s.LDT, &s.TR} {
		x.Selector &= 0xffff
		x.Flags &= 0xffff00
	}
	for _, x := range []*arch.X86Segment{&s.GDT, &s.IDT} {
		x.Selector, x.Flags = 0, 0
		x.Limit &= 0xffff
	}
	vectors, size := 8, 16
	if wide {
		vectors, size = 16<<r.IntN(2), 16<<r.IntN(3)
	}
	if vectors == 32 {
		size = 64
	}
	*s.XCR0 = map[int]uint64{16: 3, 32: 7, 64: 0xe7}[size]
	s.FPU = &arch.X86FPU{Vectors: make([][64]byte, vectors)}
	fill(r, reflect.ValueOf(s.FPU).Elem())
	for i := range s.FPU.Vectors {
		clear(s.FPU.Vectors[i][size:])
	}
	return s
}

// fill gives all numbers in a value that is not a nil pointer a random value.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(r, v.Elem())
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	}
}

// notes are those of a dump that package vbox writes, and whether processors
// are of 64 bits.
func notes(t testing.TB, f dump.Format, name string, cpus ...guest.CPU) []byte {
	t.Helper()
	g, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	m := dumptest.Machine(t, t.TempDir(), g, dumptest.Part{Addr: 0, Size: 0x1000})
	m.CPUs = cpus
	job, err := f.Plan(m, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dump")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	file, err := vmcorefile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != g.Machine {
		t.Errorf("%s: the file is for %v", name, file.Machine)
	}
	return file.Notes
}

// TestRoundTrip reads what package vbox writes of processors with random
// registers: all is there but for what a format has no place for.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i, version := range []uint32{0x10006, 0x10005, 0x10000} {
		f := vbox.Formats()[i]
		for n := range 20 {
			name, wide := "X86_64", n%3 > 0
			if !wide {
				name = "386"
			}
			a, b := random(r, wide), random(r, wide)
			core, err := Parse(notes(t, f, name, guest.CPU{State: a, Trust: guest.Valid}, guest.CPU{Index: 1, State: b, Trust: guest.Valid}), wide)
			if err != nil || core.Version != version || core.Product() != "" || len(core.CPUs) != 2 {
				t.Fatalf("%s: %+v, %v", f.Name(), core, err)
			}
			for i, want := range []*arch.X86{a, b} {
				if version < 0x10006 {
					want.TSCAux = nil
				}
				if version < 0x10005 {
					want.XCR0, want.APICBase = nil, nil
					want.FPU.Vectors = want.FPU.Vectors[:min(16, len(want.FPU.Vectors))]
					for j := range want.FPU.Vectors {
						clear(want.FPU.Vectors[j][16:])
					}
				}
				if diff := cmp.Diff(want, core.CPUs[i].State); diff != "" || core.CPUs[i].Err != nil {
					t.Fatalf("%s: written (-), read (+), %v:\n%s", f.Name(), core.CPUs[i].Err, diff)
				}
			}
		}
	}
}

// appendNote adds a note, by hand.
func appendNote(b []byte, name string, typ uint32, desc []byte) []byte {
	for _, n := range []uint32{uint32(len(name)), uint32(len(desc)), typ} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = append(b, name...)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, desc...)
	return append(b, make([]byte, -len(b)&3)...)
}

func words(n ...uint32) []byte {
	var b []byte
	for _, n := range n {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// TestContext42 reads a processor as VirtualBox 4.2 has it, of which package
// vbox writes none.
func TestContext42(t *testing.T) {
	b := make([]byte, 1088)
	for i := range 1088 / 8 {
		binary.LittleEndian.PutUint64(b[8*i:], 0x0001_0000_0000_0000+uint64(8*i))
	}
	desc := words(magic, 0x10000, 24, 4<<24|2<<16|18, 88780, 1)
	core, err := Parse(appendNote(appendNote(nil, "VBCORE", 0xb00, desc), "VBCPU", 0xb01, b), true)
	if err != nil || core.Product() != "4.2.18" || core.Revision != 88780 || len(core.CPUs) != 1 || core.CPUs[0].Err != nil {
		t.Fatalf("%+v, %v", core, err)
	}
	s := core.CPUs[0].State
	at := func(v uint64) uint64 { return v &^ (1 << 48) }
	got := []uint64{
		at(s.Regs[0]), at(s.Regs[3]), at(s.Regs[4]), at(s.Regs[15]), at(s.RIP), at(s.RFLAGS), at(s.CR[0]), at(s.CR[4]), at(s.DR[0]), at(s.DR[7]),
		uint64(s.Segs[0].Selector), at(s.Segs[0].Base), uint64(s.Segs[0].Limit), uint64(s.Segs[5].Selector), uint64(s.LDT.Selector), at(s.TR.Base),
		at(s.GDT.Base), uint64(s.GDT.Limit), at(s.IDT.Base), at(s.Sysenter.CS), at(s.Sysenter.ESP), at(s.EFER), at(s.Syscall.STAR), at(*s.PAT), at(s.KernelGSBase),
	}
	want := []uint64{
		512, 536, 544, 632, 784, 792, 800, 824, 832, 888,
		640, 648, 656, 760, 928, 960,
		904, 1, 920, 976, 992, 1000, 1008, 1016, 1048,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offsets wanted (-), read (+):\n%s", diff)
	}
	if s.XCR0 != nil || s.TSCAux != nil || s.APICBase != nil {
		t.Error("registers that are not there are known")
	}
}

// TestFirst reads the form of 2010, which counted the NUL of a name and padded
// to four bytes.
func TestFirst(t *testing.T) {
	b := make([]byte, 1024)
	binary.LittleEndian.PutUint64(b[616:], 0xfff0)
	raw := appendNote(nil, "VBOXCORE\x00", 0xb00, words(magic, 1, 2, 3))
	raw = appendNote(raw, "VBOXCPU\x00", 0xb01, b)
	core, err := Parse(raw, true)
	if err != nil || core.Version != 0 || len(core.CPUs) != 1 || core.CPUs[0].State.RIP != 0xfff0 {
		t.Errorf("%+v, %v", core, err)
	}
}

func TestDamage(t *testing.T) {
	good := appendNote(nil, "VBCORE", 0xb00, words(magic, 0x10006, 24, 0, 0, 1))
	for want, raw := range map[string][]byte{
		"no dump of VirtualBox":                       appendNote(nil, "CORE\x00", 1, make([]byte, 336)),
		"a descriptor of 20 bytes is too short":       appendNote(nil, "VBCORE", 0xb00, make([]byte, 20)),
		"note at 0x0: a descriptor begins with 0x0":   appendNote(nil, "VBCORE", 0xb00, make([]byte, 24)),
		"note at 0x2c: 5 bytes are too few":           append(good[:len(good):len(good)], 1, 2, 3, 4, 5),
		"note at 0x2c: a name of 4294967295 and a co": append(good[:len(good):len(good)], words(^uint32(0), ^uint32(0), 0xb01)...),
	} {
		if _, err := Parse(raw, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Parse(nil, true); !errors.Is(err, ErrFormat) {
		t.Errorf("nothing at all: %v", err)
	}
	for _, c := range []struct {
		version uint32
		size    int
	}{{0x10006, 8768}, {0x10007, 8776}, {0x10001, 1088}, {0x10006, 0}} {
		raw := appendNote(nil, "VBCORE", 0xb00, words(magic, c.version, 24, 0, 0, 1))
		core, err := Parse(appendNote(raw, "VBCPU", 0xb01, make([]byte, c.size)), true)
		want := fmt.Sprintf("where the registers are in %d bytes of format %#x is not known", c.size, c.version)
		if err != nil || len(core.CPUs) != 1 || core.CPUs[0].Err == nil || core.CPUs[0].Err.Error() != want || core.CPUs[0].State != nil {
			t.Errorf("%#x, %d bytes: %+v, %v", c.version, c.size, core, err)
		}
	}
}

// FuzzParse wants no panic, and no more processors than the notes have room
// for.
func FuzzParse(f *testing.F) {
	s := random(rand.New(rand.NewPCG(3, 4)), true)
	for _, format := range vbox.Formats() {
		f.Add(notes(f, format, "X86_64", guest.CPU{State: s, Trust: guest.Valid}), true)
	}
	raw := appendNote(nil, "VBOXCORE\x00", 0xb00, words(magic, 1, 2, 3))
	f.Add(appendNote(raw, "VBOXCPU\x00", 0xb01, make([]byte, 1024)), false)
	f.Fuzz(func(t *testing.T, b []byte, wide bool) {
		var core *Core
		var err error
		if n := dumptest.Allocated(func() { core, err = Parse(b, wide) }); n > uint64(len(b))*64+1<<20 {
			t.Errorf("%d bytes allocated for notes of %d", n, len(b))
		}
		if err != nil {
			return
		}
		if len(core.CPUs) > len(b)/16 {
			t.Errorf("%d processors in %d bytes", len(core.CPUs), len(b))
		}
		for _, c := range core.CPUs {
			if (c.State == nil) == (c.Err == nil) || c.State != nil && c.State.Wide != wide {
				t.Errorf("%+v", c)
			}
		}
	})
}
