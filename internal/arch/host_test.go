package arch

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/xml"
	"strings"
	"testing"
)

// description is what of a target description the tests look at.
type description struct {
	Arch     string `xml:"architecture"`
	Features []struct {
		Name string `xml:"name,attr"`
		Regs []struct {
			Name string `xml:"name,attr"`
			Bits int    `xml:"bitsize,attr"`
			Type string `xml:"type,attr"`
		} `xml:"reg"`
		Types []struct {
			ID string `xml:"id,attr"`
		} `xml:",any"`
	} `xml:"feature"`
}

var hosts = []struct {
	name    string
	machine elf.Machine
	order   binary.ByteOrder
}{
	{"i386:x86-64", elf.EM_X86_64, binary.LittleEndian},
	{"aarch64", elf.EM_AARCH64, binary.LittleEndian},
	{"s390:64-bit", elf.EM_S390, binary.BigEndian},
	{"powerpc:common64", elf.EM_PPC64, binary.LittleEndian},
	{"powerpc:common64", elf.EM_PPC64, binary.BigEndian},
	{"riscv:rv64", elf.EM_RISCV, binary.LittleEndian},
}

// allNotes has every note, big enough for all that is looked for.
func allNotes(typ uint32) []byte {
	b := make([]byte, 11008)
	for i := range b {
		b[i] = byte(i + int(typ))
	}
	switch typ {
	case ntXState:
		binary.LittleEndian.PutUint64(b[xcr0At:], 0x2e7)
	case ntXSaveAreas:
		return nil
	}
	return b
}

// gdb's own types (gdb manual, "Predefined Target Types").
const predefined = " bool int int8 int16 int32 int64 uint8 uint16 uint32 uint64 uint128 code_ptr data_ptr " +
	"ieee_half ieee_single ieee_double bfloat16 i387_ext "

func TestDescriptions(t *testing.T) {
	for _, c := range hosts {
		h, err := HostOf(c.machine, elf.ELFCLASS64, c.order, allNotes)
		if err != nil {
			t.Fatal(err)
		}
		var d description
		if err := xml.Unmarshal(h.TargetXML(), &d); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if d.Arch != c.name {
			t.Errorf("%s calls itself %s", c.name, d.Arch)
		}
		values := h.Registers(allNotes)
		none := h.Registers(func(uint32) []byte { return nil })
		i := 0
		seen := map[string]bool{}
		for _, f := range d.Features {
			types := predefined
			for _, typ := range f.Types {
				types += typ.ID + " "
			}
			for _, r := range f.Regs {
				if seen[r.Name] {
					t.Errorf("%s: two registers %s", c.name, r.Name)
				}
				seen[r.Name] = true
				if v := values[i]; v.Bits != r.Bits || len(v.Data) != r.Bits/8 {
					t.Errorf("%s: %s has %d bits and %d bytes, described are %d bits", c.name, r.Name, v.Bits, len(v.Data), r.Bits)
				}
				if none[i].Data != nil && r.Name != "zero" {
					t.Errorf("%s: %s has a value without notes", c.name, r.Name)
				}
				if !strings.Contains(types, " "+r.Type+" ") {
					t.Errorf("%s: %s has the unknown type %s", c.name, r.Name, r.Type)
				}
				i++
			}
		}
		if i != len(values) || h.PlainRegisters() > i || h.PlainRegisters() == 0 {
			t.Errorf("%s: %d registers described, %d given, %d plain", c.name, i, len(values), h.PlainRegisters())
		}
		if _, ok := h.ThreadPointer(allNotes); !ok {
			t.Errorf("%s: no thread pointer", c.name)
		}
	}
	if _, err := HostOf(elf.EM_MIPS, elf.ELFCLASS64, binary.BigEndian, allNotes); err == nil {
		t.Error("MIPS is known")
	}
}

// register is the value of a register by its name.
func register(t *testing.T, h *Host, name string, notes Notes) []byte {
	t.Helper()
	i := 0
	for _, f := range h.features {
		for _, r := range f.regs {
			if r.name == name {
				return h.Registers(notes)[i].Data
			}
			i++
		}
	}
	t.Fatalf("no register %s", name)
	return nil
}

func TestPlaces(t *testing.T) {
	// Each 8 bytes of a note hold their own offset.
	notes := func(typ uint32) []byte {
		b := make([]byte, 3000)
		for i := 0; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], uint64(i))
		}
		if typ == ntXState {
			binary.LittleEndian.PutUint64(b[xcr0At:], 0x2e7)
		}
		if typ == ntXSaveAreas {
			return nil
		}
		return b
	}
	for _, c := range []struct {
		machine elf.Machine
		reg     string
		want    uint64
	}{
		{elf.EM_X86_64, "rax", 112 + 80}, {elf.EM_X86_64, "rip", 112 + 128}, {elf.EM_X86_64, "rsp", 112 + 152},
		{elf.EM_X86_64, "orig_rax", 112 + 120}, {elf.EM_X86_64, "gs_base", 112 + 176}, {elf.EM_X86_64, "gs", 112 + 208},
		{elf.EM_X86_64, "xmm15", 160 + 240}, {elf.EM_X86_64, "ymm1h", 576 + 16}, {elf.EM_X86_64, "k1", 1096},
		{elf.EM_X86_64, "zmm15h", 1152 + 480}, {elf.EM_X86_64, "xmm17", 1664 + 64}, {elf.EM_X86_64, "ymm17h", 1664 + 80},
		{elf.EM_X86_64, "zmm31h", 1664 + 15*64 + 32}, {elf.EM_X86_64, "pkru", 2688},
		{elf.EM_AARCH64, "x30", 112 + 240}, {elf.EM_AARCH64, "pc", 112 + 256}, {elf.EM_AARCH64, "v31", 496},
		{elf.EM_PPC64, "pc", 112 + 256}, {elf.EM_PPC64, "cr", 112 + 304}, {elf.EM_PPC64, "lr", 112 + 288},
		{elf.EM_PPC64, "vr31", 31 * 16}, {elf.EM_PPC64, "vscr", 512}, {elf.EM_PPC64, "vrsave", 528}, {elf.EM_PPC64, "vs31h", 248},
		{elf.EM_S390, "v15l", 120}, {elf.EM_S390, "v31", 240},
		{elf.EM_RISCV, "pc", 112}, {elf.EM_RISCV, "sp", 112 + 16}, {elf.EM_RISCV, "t6", 112 + 248},
	} {
		h, err := HostOf(c.machine, elf.ELFCLASS64, binary.LittleEndian, notes)
		if err != nil {
			t.Fatal(err)
		}
		b := append(bytes.Clone(register(t, h, c.reg, notes)), make([]byte, 8)...)
		if got := binary.LittleEndian.Uint64(b); got != c.want {
			t.Errorf("%v %s is from offset %d, not %d", c.machine, c.reg, got, c.want)
		}
	}
}

func TestNarrowBigEndian(t *testing.T) {
	notes := func(uint32) []byte {
		b := make([]byte, 512)
		binary.BigEndian.PutUint64(b[112+8*38:], 0x1122334455667788)
		return b
	}
	h, _ := HostOf(elf.EM_PPC64, elf.ELFCLASS64, binary.BigEndian, notes)
	if got := register(t, h, "cr", notes); binary.BigEndian.Uint32(got) != 0x55667788 {
		t.Errorf("cr is %x", got)
	}
}

func TestXSaveLayouts(t *testing.T) {
	entry := func(component, size, offset uint32) []byte {
		b := make([]byte, 16)
		binary.LittleEndian.PutUint32(b, component)
		binary.LittleEndian.PutUint32(b[4:], size)
		binary.LittleEndian.PutUint32(b[8:], offset)
		return b
	}
	for _, c := range []struct {
		name  string
		size  int
		xcr0  uint64
		areas []byte
		want  map[int]int
	}{
		{"Intel", 2696, 0x2e7, nil, map[int]int{xAVX: 576, xOpmask: 1088, xPKRU: 2688}},
		{"AMD", 2440, 0x2e7, nil, map[int]int{xAVX: 576, xOpmask: 832, xZMMHi: 896, xHiZMM: 1408, xPKRU: 2432}},
		{"AMD without AVX-512", 840, 0x207, nil, map[int]int{xAVX: 576, xPKRU: 832, xOpmask: 0}},
		{"told", 2000, 0x7, entry(xAVX, 256, 600), map[int]int{xAVX: 600, xPKRU: 0}},
		{"told nonsense", 2000, 0x7, entry(xAVX, 256, 1<<31), map[int]int{xAVX: 576}},
	} {
		got := componentOffsets(c.xcr0, c.size, c.areas)
		for component, want := range c.want {
			if got[component] != want {
				t.Errorf("%s: component %d at %d, not %d", c.name, component, got[component], want)
			}
		}
	}
}

// Without XSAVE there are the registers of SSE, out of NT_FPREGSET.
func TestWithoutXSave(t *testing.T) {
	notes := func(typ uint32) []byte {
		if typ == ntXState {
			return nil
		}
		return allNotes(typ)
	}
	h, err := HostOf(elf.EM_X86_64, elf.ELFCLASS64, binary.LittleEndian, notes)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(h.TargetXML()), "avx") {
		t.Error("AVX without XSAVE")
	}
	if got := register(t, h, "xmm1", notes); !bytes.Equal(got, notes(ntFPRegSet)[176:192]) {
		t.Errorf("xmm1 is % x", got)
	}
}

func TestFloatTags(t *testing.T) {
	area := make([]byte, 512)
	binary.LittleEndian.PutUint16(area[2:], 6<<11) // top is 6: st0 is physical register 6
	area[4] = 1<<6 | 1<<7 | 1<<0
	binary.LittleEndian.PutUint64(area[32:], 1<<63) // st0 = 1.0: valid
	binary.LittleEndian.PutUint16(area[40:], 0x3fff)
	binary.LittleEndian.PutUint16(area[32+16+8:], 0x7fff) // st1: special
	// st2, physical register 0, is 0.
	if got, want := fullTags(area), uint16(0b10_00_11_11_11_11_11_01); got != want {
		t.Errorf("tags %016b, not %016b", got, want)
	}
}

func TestGDBSignal(t *testing.T) {
	for linux, want := range map[int]uint8{
		0: 0, 6: 6, 7: 10, 10: 30, 11: 11, 12: 31, 16: 143, 17: 20, 29: 23, 31: 12,
		32: 77, 33: 45, 34: 46, 63: 75, 64: 78, 127: 141, 128: 143, -1: 143,
	} {
		if got := GDBSignal(linux); got != want {
			t.Errorf("signal %d is gdb's %d, not %d", linux, got, want)
		}
	}
}
