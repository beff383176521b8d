package matrix

import (
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

var s390xGuests = []guest{
	reset("reset", "s390x", 0x200000, "-machine", "s390-ccw-virtio", "-m", "64M"),
	running("registers", "s390x", rig.S390XProgram()),
}

var s390xExplained = []exception{
	{cell{target: "s390x", build: rig.Stock}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", build: rig.Dwarf}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", guest: "registers"}, "CORE/0x1", "psw.mask", "QEMU's has the condition code of the last PSW loaded, " +
		"whatever instructions made of it since; its info registers has the right one, and ours that: TestS390XConditionCode"},
}

const hostPid = "QEMU 7.2 has it in the byte order of its host, 10.0 in that of the file"

// TestS390XConditionCode holds the condition code in our notes against what QEMU says it is, after each kind of instruction of
// which QEMU works it out late. The PSW that was loaded had code 1.
func TestS390XConditionCode(t *testing.T) {
	for _, tt := range []struct {
		name string
		code []byte // of registers 2 and 3, 0x7000000000001111 and 0x7000000000002222
	}{
		{"AR", []byte{0x1a, 0x23}}, {"AGR", []byte{0xb9, 0x08, 0, 0x23}}, {"ALGR", []byte{0xb9, 0x0a, 0, 0x23}},
		{"SR", []byte{0x1b, 0x23}}, {"SGR", []byte{0xb9, 0x09, 0, 0x23}}, {"SLGR", []byte{0xb9, 0x0b, 0, 0x23}},
		{"SLGR r3,r2", []byte{0xb9, 0x0b, 0, 0x32}}, {"SLGR r2,r2", []byte{0xb9, 0x0b, 0, 0x22}},
		{"CR", []byte{0x19, 0x32}}, {"CGR", []byte{0xb9, 0x20, 0, 0x32}}, {"CLR", []byte{0x15, 0x32}}, {"CLGR", []byte{0xb9, 0x21, 0, 0x32}},
		{"LTR", []byte{0x12, 0x23}}, {"LTGR", []byte{0xb9, 0x02, 0, 0x23}},
		{"LPR", []byte{0x10, 0x23}}, {"LPGR", []byte{0xb9, 0x00, 0, 0x23}},
		{"LNR of 0", []byte{0x17, 0x22, 0x11, 0x22}}, {"LNGR of 0", []byte{0x17, 0x22, 0xb9, 0x82, 0, 0x33, 0xb9, 0x01, 0, 0x23}},
		{"LCR of 0", []byte{0x17, 0x33, 0x13, 0x23}}, {"LCGR of -1", []byte{0xa7, 0x39, 0xff, 0xff, 0xb9, 0x03, 0, 0x23}},
		{"MSRKC", []byte{0xb9, 0xfd, 0x30, 0x42}}, {"MSGRKC", []byte{0xb9, 0xed, 0x30, 0x42}},
		{"NGR to 0", []byte{0xa7, 0x39, 0, 0, 0xb9, 0x80, 0, 0x23}},
		{"TMLL, some", []byte{0xa7, 0x21, 0x11, 0x22}}, {"TMLL, all", []byte{0xa7, 0x21, 0x01, 0x11}}, {"TMHH, left", []byte{0xa7, 0x22, 0x48, 0}},
		{"LTEBR", []byte{0xb3, 0x02, 0, 0x23}}, {"LTDBR", []byte{0xb3, 0x12, 0, 0x23}}, {"LTXBR", []byte{0xb3, 0x42, 0, 0x01}},
		{"LTDBR of 0", []byte{0xb3, 0x75, 0, 0x30, 0xb3, 0x12, 0, 0x23}},
		{"ICM of 0", []byte{0xbf, 0x2f, 0x01, 0x00}}, {"SLA", []byte{0x8b, 0x20, 0, 3}}, {"SLAG", []byte{0xeb, 0x23, 0, 3, 0, 0x0b}},
		{"FLOGR", []byte{0xb9, 0x83, 0, 0x23}}, {"LCBB", []byte{0xe7, 0x20, 0x0f, 0xf8, 0, 0x27}},
		{"VCEQGS", []byte{0xe7, 0x12, 0x30, 0x10, 0x30, 0xf8}}, {"VCEQGS of the same", []byte{0xe7, 0x12, 0x20, 0x10, 0x30, 0xf8}},
	} {
		for _, build := range []rig.Build{rig.Stock, rig.Sid} {
			t.Run(fmt.Sprintf("%s/%s", tt.name, build), func(t *testing.T) {
				t.Parallel()
				g := running("condition", "s390x", rig.S390XProgram(tt.code...))
				g.Bare = true
				fixture, err := rig.Record(t.Context(), t.TempDir(), testkit.Emulator(t, build, g.target), g.Config)
				if err != nil {
					t.Fatal(err)
				}
				ours, err := dump(t, fixture)
				if err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(fixture.Registers)
				if err != nil {
					t.Fatal(err)
				}
				masks := pswMask.FindAllSubmatch(text, -1)
				if len(masks) != 2 {
					t.Fatalf("info registers of two CPUs is\n%s", text)
				}
				cpu := 0
				for _, n := range notes(ours) {
					if name(n) != "CORE/0x1" {
						continue
					}
					got, want := fmt.Sprintf("%016x", binary.BigEndian.Uint64(n.Desc[112:])), string(masks[cpu][1])
					if got != want {
						t.Errorf("CPU %d: mask %s, QEMU says %s", cpu, got, want)
					}
					cpu++
				}
				if cpu != 2 {
					t.Errorf("%d CPUs have notes", cpu)
				}
			})
		}
	}
}

// pswMask is in what HMP info registers prints: "PSW=mask 0000300180000000 addr 0000000000002044 cc CC_OP_ADD_64".
var pswMask = regexp.MustCompile(`PSW=mask ([0-9a-f]{16})`)
