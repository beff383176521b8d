package qemu

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// The members are numbers of the host, whatever the guest's byte order.
func TestReadS390X(t *testing.T) {
	const table = `{"x": {"CPUS390XState": {"size": 1216, "fields": {"regs": [0,8,16], "vregs": [128,16,32], "vregs[]": [128,8,2], "aregs": [640,4,16],
		"gscb": [704,8,4], "fpc": [736,4], "psw.mask": [744,8], "psw.addr": [752,8], "psa": [760,8], "cregs": [768,8,16], "ckc": [896,8], "cputm": [904,8],
		"todpr": [912,4]}}}}`
	tables, err := ctype.ParseTable(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	want := arch.S390X{PSWMask: 0x0705200180000000, PSWAddr: 0xadd, FPC: 0xf00, Prefix: 0x4000, CPUTimer: 0xc1, ClockComparator: 0xc2, TODProgrammable: 0xd,
		GuardedStorage: [4]uint64{1, 2, 3, 4}}
	for i := range uint32(16) {
		want.GPR[i], want.Control[i], want.Access[i] = uint64(i)+0x100, uint64(i)+0x200, i+0x300
	}
	for i := range want.V {
		want.V[i] = [2]uint64{uint64(i) + 0x400, uint64(i) + 0x500}
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		const base = 0x40
		memory := make([]byte, base+1216)
		put := func(at int, v any) {
			if _, err := binary.Encode(memory[base+at:], order, v); err != nil {
				t.Fatal(err)
			}
		}
		put(0, want.GPR)
		put(128, want.V)
		put(640, want.Access)
		put(704, want.GuardedStorage)
		put(736, want.FPC)
		put(744, []uint64{want.PSWMask, want.PSWAddr, uint64(want.Prefix)})
		put(768, want.Control)
		put(896, []uint64{want.ClockComparator, want.CPUTimer})
		put(912, want.TODProgrammable)
		space := &cvalue.Space{Mem: bytes.NewReader(memory), Order: order, PointerSize: 8, Layouts: tables["x"]}
		got, err := readS390X(nil, space.At(base, "CPUS390XState"))
		if err != nil {
			t.Fatal(err)
		}
		if *got.(*arch.S390X) != want {
			t.Errorf("%v host: %+v, want %+v", order, got, want)
		}
	}
	space := &cvalue.Space{Mem: bytes.NewReader(make([]byte, 64)), Order: binary.LittleEndian, PointerSize: 8, Layouts: tables["x"]}
	if got, err := readS390X(nil, space.At(8, "CPUS390XState")); err == nil {
		t.Errorf("out of memory that ends: %+v", got)
	}
}
