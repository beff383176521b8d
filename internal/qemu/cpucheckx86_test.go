package qemu

import (
	"bytes"
	"encoding/binary"
	"testing"

	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// What the processor, or TCG for it, lets a guest write into a model-specific
// register is believed; what is no value of it tells of a wrong layout.
func TestX86Model(t *testing.T) {
	for _, tt := range []struct {
		register string
		value    uint64
		ok       bool
	}{
		{"fmask", 0x4700, true},
		{"fmask", 0x257fd5, true},              // Linux
		{"fmask", 0xffff_ffff_ffff_bfff, true}, // a mask of 32 bits, written with its sign
		{"fmask", 0x5555_5678_9abc, false},     // a pointer
		{"fmask", 1 << 32, false},
		{"sysenter_cs", 0x10, true},
		{"sysenter_cs", 0x1_0000, false},
		{"tsc_aux", 0x1001, true},
		{"tsc_aux", 1 << 32, false},
		{"lstar", 0xffff_ffff_8100_0000, true},
		{"lstar", 0x1234_5678_9abc_def0, false},
		{"xcr0", 7, true},
		{"xcr0", 6, false},
		{"pat", 0x0407_0506_0007_0106, true},
		{"pat", 0x0407_0506_0007_0206, false},
	} {
		mem := binary.LittleEndian.AppendUint64(nil, 0)
		mem = binary.LittleEndian.AppendUint64(mem, tt.value)
		space := &cvalue.Space{
			Mem: bytes.NewReader(mem), Order: binary.LittleEndian, PointerSize: 8,
			Layouts: ctype.MakeTable("test", map[string]ctype.Record{
				"CPUX86State": {Size: 8, Members: map[string]ctype.Place{tt.register: {Size: 8}}},
			}),
		}
		c := &claims{env: space.At(8, "CPUX86State")}
		c.x86Model()
		if err := c.err(); (err == nil) != tt.ok || c.env.Err() != nil {
			t.Errorf("%s %#x: %v, %v", tt.register, tt.value, err, c.env.Err())
		}
	}
}
