package qemu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// ppcEnv is a CPUPPCState in the memory of a host, of releases up to 3.1 or
// since, in which members are set.
func ppcEnv(t *testing.T, order binary.ByteOrder, old bool, set map[string][]uint64) *cvalue.Object {
	t.Helper()
	members := `"gpr": [0,8,32], "lr": [256,8], "ctr": [264,8], "crf": [272,4,8], "xer": [304,8], "so": [312,8], "ov": [320,8], "ca": [328,8],
		"ov32": [336,8], "ca32": [344,8], "msr": [352,8], "nip": [360,8], "fpscr": [368,8], "vscr": [376,4], "spe_fscr": [380,4], "spe_acc": [384,8],
		"msr_mask": [392,8], "insns_flags2": [400,8], "spr": [512,8,1024], `
	const vectors = 512 + 8192
	if old {
		members += fmt.Sprintf(`"fpr": [%d,8,32], "vsr": [%d,8,32], "avr": [%d,16,32]`, vectors, vectors+256, vectors+512)
	} else {
		members += fmt.Sprintf(`"vsr": [%d,16,64], "vscr_sat": [%d,16]`, vectors, vectors+1024)
	}
	const size = vectors + 1024 + 16
	tables, err := ctype.ParseTable(strings.NewReader(fmt.Sprintf(`{"x": {"CPUPPCState": {"size": %d, "fields": {%s}}}}`, size, members)))
	if err != nil {
		t.Fatal(err)
	}
	layout, err := tables["x"].Struct("CPUPPCState")
	if err != nil {
		t.Fatal(err)
	}
	const base = 0x1000
	memory := make([]byte, base+size)
	for path, values := range set {
		f, err := layout.Field(path)
		if err != nil {
			t.Fatal(err)
		}
		at, width := memory[base+f.Offset:], f.Size
		if f.Elem != nil {
			width = f.Elem.Size
		}
		for i, v := range values {
			if width == 4 {
				order.PutUint32(at[4*i:], uint32(v))
			} else {
				order.PutUint64(at[8*i:], v)
			}
		}
	}
	space := &cvalue.Space{Mem: bytes.NewReader(memory), Order: order, PointerSize: 8, Layouts: tables["x"]}
	return space.At(base, "CPUPPCState")
}

func TestPPC64Vectors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order binary.ByteOrder
		old   bool
		set   map[string][]uint64
	}{
		{"since 4.0, little-endian host", binary.LittleEndian, false,
			map[string][]uint64{"vsr[3]": {0x31, 0x30}, "vsr[35]": {0x351, 0x350}, "vscr": {0x10000}, "vscr_sat": {0, 1}}},
		{"since 4.0, big-endian host", binary.BigEndian, false,
			map[string][]uint64{"vsr[3]": {0x30, 0x31}, "vsr[35]": {0x350, 0x351}, "vscr": {0x10000}, "vscr_sat": {1, 0}}},
		{"up to 3.1, little-endian host", binary.LittleEndian, true,
			map[string][]uint64{"fpr[3]": {0x30}, "vsr[3]": {0x31}, "avr[3]": {0x351, 0x350}, "vscr": {0x10001}}},
		{"up to 3.1, big-endian host", binary.BigEndian, true,
			map[string][]uint64{"fpr[3]": {0x30}, "vsr[3]": {0x31}, "avr[3]": {0x350, 0x351}, "vscr": {0x10001}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, err := ppc64Registers(ppcEnv(t, tt.order, tt.old, tt.set))
			if err != nil {
				t.Fatal(err)
			}
			s := state
			want := [64][2]uint64{3: {0x30, 0x31}, 35: {0x350, 0x351}}
			if s.VSR != want {
				t.Errorf("registers %#x, want %#x", s.VSR, want)
			}
			if s.VSCR != 0x10001 {
				t.Errorf("vscr %#x, want 0x10001", s.VSCR)
			}
		})
	}
}

func TestPPC64Flags(t *testing.T) {
	one := []uint64{1}
	set := map[string][]uint64{"xer": {0x7f}, "so": one, "ov": one, "ca": one, "ov32": one, "ca32": one, "crf": {1, 2, 3, 4, 5, 6, 7, 8}}
	for _, tt := range []struct {
		name  string
		flags uint64
		want  uint64
	}{{"ISA 2.07", 0x40000, 0xe000007f}, {"ISA 3.0", 0xc0000, 0xe00c007f}} {
		set["insns_flags2"] = []uint64{tt.flags}
		state, err := ppc64Registers(ppcEnv(t, binary.LittleEndian, false, set))
		if err != nil {
			t.Fatal(err)
		}
		if s := state; s.XER != tt.want || s.CR != 0x12345678 {
			t.Errorf("%s: xer %#x, cr %#x, want %#x, 0x12345678", tt.name, s.XER, s.CR, tt.want)
		}
	}
}

func TestPPC64ByteOrder(t *testing.T) {
	const (
		lpcr, hid0 = "spr[318]", "spr[1008]"
		hv         = 1 << 60
		isa300     = 0x80000
	)
	for _, tt := range []struct {
		name string
		set  map[string][]uint64
		want bool
	}{
		{"nothing", nil, false},
		{"pseries", map[string][]uint64{lpcr: {1 << 25}}, true},
		{"pseries, HID0 without meaning", map[string][]uint64{hid0: {1<<44 | 1<<59}}, false},
		{"970", map[string][]uint64{"msr": {1 << 16}}, true},
		{"MSR.LE is not it", map[string][]uint64{"msr": {1}}, false},
		{"POWER8 without hypervisor", map[string][]uint64{"msr_mask": {hv}, hid0: {1 << 44}}, true},
		{"POWER8, bit of POWER9", map[string][]uint64{"msr_mask": {hv}, hid0: {1 << 59}, lpcr: {1 << 25}}, false},
		{"POWER9 without hypervisor", map[string][]uint64{"msr_mask": {hv}, "insns_flags2": {isa300}, hid0: {1 << 59}}, true},
		{"POWER9, bit of POWER8", map[string][]uint64{"msr_mask": {hv}, "insns_flags2": {isa300}, hid0: {1 << 44}}, false},
	} {
		env := ppcEnv(t, binary.LittleEndian, false, tt.set)
		if got := ppcLittleEndian(env); got != tt.want || env.Err() != nil {
			t.Errorf("%s: %v, want %v: %v", tt.name, got, tt.want, env.Err())
		}
	}
}

// A layout that lacks a member gives no registers rather than wrong ones.
func TestPPC64Lacking(t *testing.T) {
	env := ppcEnv(t, binary.LittleEndian, true, nil)
	if _, err := ppc64Registers(env); err != nil {
		t.Fatal(err)
	}
	tables, err := ctype.ParseTable(strings.NewReader(`{"x": {"CPUPPCState": {"size": 16, "fields": {"nip": [0,8]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	space := &cvalue.Space{Mem: bytes.NewReader(make([]byte, 64)), Order: binary.LittleEndian, PointerSize: 8, Layouts: tables["x"]}
	if s, err := ppc64Registers(space.At(16, "CPUPPCState")); err == nil {
		t.Errorf("registers %+v", s)
	}
}
