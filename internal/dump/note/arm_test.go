package note

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// notesOf are the notes of a guest with one processor, number 4.
func notesOf(t *testing.T, name string, state arch.State) []parsed {
	t.Helper()
	m := machine(t, name, guest.CPU{Index: 4, State: state, Trust: guest.Valid})
	notes := parse(t, Of(m, &dump.Content{}, dump.Options{}).Bytes, m.Arch.Order)
	return notes[:len(notes)-1] // the last one is guestcore's own
}

// place is a number in a note: which note, where in its descriptor.
type place struct {
	name     string
	note, at int
	size     int
	want     uint64
}

func (p place) check(t *testing.T, notes []parsed, order binary.ByteOrder) {
	t.Helper()
	b := notes[p.note].Desc[p.at : p.at+p.size]
	if order == binary.LittleEndian {
		b = slices.Clone(b)
		slices.Reverse(b)
	}
	var got uint64
	for _, v := range b {
		got = got<<8 | uint64(v)
	}
	if got != p.want {
		t.Errorf("%s: note %d has %#x at %d, want %#x", p.name, p.note, got, p.at, p.want)
	}
}

func arm64State() *arch.ARM64 {
	s := &arch.ARM64{SP: 0x5b, PC: 0x1111111122222222, PState: 0x600003c5, FPSR: 0x9f, FPCR: 0x1000000}
	for i := range s.X {
		s.X[i] = 0xa00000000 + uint64(i)
	}
	for i := range s.V {
		s.V[i] = [2]uint64{uint64(i)<<8 | 1, uint64(i)<<8 | 2}
	}
	return s
}

// The offsets are those of Linux's headers, not of the code.
func TestARM64Notes(t *testing.T) {
	for name, order := range map[string]binary.ByteOrder{"aarch64-le": binary.LittleEndian, "aarch64-be": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			notes := notesOf(t, name, arm64State())
			if got := headings(notes); got != "CORE 1 392, CORE 2 528" {
				t.Fatalf("notes %s", got)
			}
			low, high := 3*16, 3*16+8
			if order == binary.BigEndian {
				low, high = high, low
			}
			for _, p := range []place{
				{"pid", 0, 32, 4, 5}, {"x0", 0, 112, 8, 0xa00000000}, {"x30", 0, 352, 8, 0xa0000001e}, {"sp", 0, 360, 8, 0x5b},
				{"pc", 0, 368, 8, 0x1111111122222222}, {"pstate", 0, 376, 8, 0x600003c5}, {"fpvalid", 0, 384, 4, 1},
				{"v3, low half", 1, low, 8, 0x301}, {"v3, high half", 1, high, 8, 0x302}, {"fpsr", 1, 512, 4, 0x9f}, {"fpcr", 1, 516, 4, 0x1000000},
			} {
				p.check(t, notes, order)
			}
		})
	}
}

func TestARM64SVE(t *testing.T) {
	s := arm64State()
	s.SVE = &arch.SVE{MaxVL: 256}
	for i := range s.SVE.Z {
		s.SVE.Z[i] = bytes.Repeat([]byte{byte(i)}, 48)
	}
	for i := range s.SVE.P {
		s.SVE.P[i] = bytes.Repeat([]byte{0x80 | byte(i)}, 6)
	}
	notes := notesOf(t, "aarch64-be", s)
	// 16 + 32*48 + 17*6 = 1654, up to 1664 for fpsr; 16 more in all.
	if got := headings(notes); got != "CORE 1 392, CORE 2 528, LINUX 1029 1680" {
		t.Fatalf("notes %s", got)
	}
	for _, p := range []place{
		{"size", 2, 0, 4, 1680}, {"max_size", 2, 4, 4, 8768}, {"vl", 2, 8, 2, 48}, {"max_vl", 2, 10, 2, 256}, {"flags", 2, 12, 2, 1},
		{"z0", 2, 16, 2, 0}, {"z1", 2, 64, 2, 0x0101}, {"z31", 2, 16 + 31*48, 2, 0x1f1f}, {"p0", 2, 1552, 2, 0x8080},
		{"p15", 2, 1552 + 15*6, 2, 0x8f8f}, {"ffr", 2, 1552 + 16*6, 2, 0x9090}, {"fpsr", 2, 1664, 4, 0x9f}, {"fpcr", 2, 1668, 4, 0x1000000},
	} {
		p.check(t, notes, binary.BigEndian)
	}
}

func TestARMNotes(t *testing.T) {
	s := &arch.ARM{CPSR: 0x600001d3, FPSCR: 0x3000001}
	for i := range s.R {
		s.R[i] = 0x10000000 + uint32(i)
	}
	for i := range s.D {
		s.D[i] = 0xd00000000 + uint64(i)
	}
	if got := headings(notesOf(t, "arm", s)); got != "CORE 1 148" {
		t.Errorf("notes without floating point: %s", got)
	}
	place{"fpvalid", 0, 144, 4, 0}.check(t, notesOf(t, "arm", s), binary.LittleEndian)
	s.VFP = true
	notes := notesOf(t, "arm-be", s)
	if got := headings(notes); got != "CORE 1 148, LINUX 1024 260" {
		t.Fatalf("notes %s", got)
	}
	for _, p := range []place{
		{"pid", 0, 24, 4, 5}, {"r0", 0, 72, 4, 0x10000000}, {"r15", 0, 132, 4, 0x1000000f}, {"cpsr", 0, 136, 4, 0x600001d3},
		{"fpvalid", 0, 144, 4, 1}, {"d0", 1, 0, 8, 0xd00000000}, {"d31", 1, 248, 8, 0xd0000001f}, {"fpscr", 1, 256, 4, 0x3000001},
	} {
		p.check(t, notes, binary.BigEndian)
	}
}

func TestRISCVNotes(t *testing.T) {
	s := &arch.RISCV{PC: 0xffffffff80001234}
	for i := range s.X {
		s.X[i] = 0x700000000 + uint64(i)
	}
	wide, narrow := notesOf(t, "riscv64", s), notesOf(t, "riscv32", s)
	if got := headings(slices.Concat(wide, narrow)); got != "CORE 1 376, CORE 1 204" {
		t.Fatalf("notes %s", got)
	}
	for _, p := range []place{
		{"pid", 0, 32, 4, 5}, {"pc", 0, 112, 8, 0xffffffff80001234}, {"x1", 0, 120, 8, 0x700000001}, {"x31", 0, 360, 8, 0x70000001f}, {"end", 0, 368, 8, 0},
	} {
		p.check(t, wide, binary.LittleEndian)
	}
	for _, p := range []place{
		{"pid", 0, 24, 4, 5}, {"pc", 0, 72, 4, 0x80001234}, {"x1", 0, 76, 4, 1}, {"x31", 0, 196, 4, 0x1f}, {"end", 0, 200, 4, 0},
	} {
		p.check(t, narrow, binary.LittleEndian)
	}
}

func TestLoongArchNotes(t *testing.T) {
	s := &arch.LoongArch{PC: 0xbad, ERA: 0xe7a, BADV: 0xbad5, FCC: [8]uint8{1, 0, 1, 1, 0, 0, 0, 1}, FCSR: 0x12345678}
	for i := range s.R {
		s.R[i], s.F[i] = 0x500000000+uint64(i), 0xf00000000+uint64(i)
	}
	notes := notesOf(t, "loongarch64", s)
	if got := headings(notes); got != "CORE 1 480, CORE 2 268" {
		t.Fatalf("notes %s", got)
	}
	for _, p := range []place{
		{"pid", 0, 32, 4, 5}, {"r0", 0, 112, 8, 0x500000000}, {"r31", 0, 360, 8, 0x50000001f}, {"orig_a0", 0, 368, 8, 0}, {"era", 0, 376, 8, 0xe7a},
		{"badv", 0, 384, 8, 0xbad5}, {"fpvalid", 0, 472, 4, 1}, {"f31", 1, 248, 8, 0xf0000001f}, {"fcc", 1, 256, 8, 0x0100000001010001},
		{"fcsr", 1, 264, 4, 0x12345678},
	} {
		p.check(t, notes, binary.LittleEndian)
	}
	if m := machine(t, "loongarch64").Arch.Machine; m != elf.EM_LOONGARCH {
		t.Errorf("loongarch64 is %v", m)
	}
}
