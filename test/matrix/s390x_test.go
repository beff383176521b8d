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
	{cell{target: "s390x", build: rig.Bullseye}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", build: rig.Stock}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", build: rig.Dwarf}, "CORE/0x1", "pid", hostPid},
	{cell{target: "s390x", guest: "registers"}, "CORE/0x1", "psw.mask", "QEMU's has the condition code of the last PSW loaded, " +
		"whatever instructions made of it since; its info registers has the right one, and ours that: TestS390XConditionCode"},
}

const hostPid = "QEMU has it, up to 7.2, in the byte order of its host; 10.0 in that of the file"

// TestS390XConditionCode holds the condition code in our notes against what QEMU says it is, after each kind of instruction of
// which QEMU works it out late. The PSW that was loaded had code 1.
func TestS390XConditionCode(t *testing.T) {
	for _, tt := range []struct {
		op   string // what QEMU calls it
		name string
		code []byte // of registers 2 and 3, 0x7000000000001111 and 0x7000000000002222
	}{
		{"ADD_32", "AR", []byte{0x1a, 0x23}},
		{"ADD_64", "AGR", []byte{0xb9, 0x08, 0, 0x23}},
		{"ADDU", "ALGR", []byte{0xb9, 0x0a, 0, 0x23}},
		{"SUB_32", "SR", []byte{0x1b, 0x23}},
		{"SUB_64", "SGR", []byte{0xb9, 0x09, 0, 0x23}},
		{"SUBU", "SLGR", []byte{0xb9, 0x0b, 0, 0x23}},
		{"SUBU", "SLGR r3,r2", []byte{0xb9, 0x0b, 0, 0x32}},
		{"SUBU", "SLGR r2,r2", []byte{0xb9, 0x0b, 0, 0x22}},
		{"LTGT_32", "CR", []byte{0x19, 0x32}},
		{"LTGT_64", "CGR", []byte{0xb9, 0x20, 0, 0x32}},
		{"LTUGTU_32", "CLR", []byte{0x15, 0x32}},
		{"LTUGTU_64", "CLGR", []byte{0xb9, 0x21, 0, 0x32}},
		{"LTGT0_32", "LTR", []byte{0x12, 0x23}},
		{"LTGT0_64", "LTGR", []byte{0xb9, 0x02, 0, 0x23}},
		{"ABS_32", "LPR", []byte{0x10, 0x23}},
		{"ABS_64", "LPGR", []byte{0xb9, 0x00, 0, 0x23}},
		{"NABS_32", "LNR of 0", []byte{0x17, 0x22, 0x11, 0x22}},
		{"NABS_64", "LNGR of 0", []byte{0x17, 0x22, 0xb9, 0x82, 0, 0x33, 0xb9, 0x01, 0, 0x23}},
		{"COMP_32", "LCR of 0", []byte{0x17, 0x33, 0x13, 0x23}},
		{"COMP_64", "LCGR of -1", []byte{0xa7, 0x39, 0xff, 0xff, 0xb9, 0x03, 0, 0x23}},
		{"MULS_32", "MSRKC", []byte{0xb9, 0xfd, 0x30, 0x42}},
		{"MULS_64", "MSGRKC", []byte{0xb9, 0xed, 0x30, 0x42}},
		{"NZ", "NGR to 0", []byte{0xa7, 0x39, 0, 0, 0xb9, 0x80, 0, 0x23}},
		{"TM_32", "TM of the first instruction, all", []byte{0xa7, 0x49, 0x20, 0, 0x91, 0xc0, 0x40, 0}},
		{"TM_64", "TMLL, some", []byte{0xa7, 0x21, 0x11, 0x22}},
		{"TM_64", "TMLL, all", []byte{0xa7, 0x21, 0x01, 0x11}},
		{"TM_64", "TMHH, left", []byte{0xa7, 0x22, 0x48, 0}},
		{"NZ_F32", "LTEBR", []byte{0xb3, 0x02, 0, 0x23}},
		{"NZ_F64", "LTDBR", []byte{0xb3, 0x12, 0, 0x23}},
		{"NZ_F64", "LTDBR of 0", []byte{0xb3, 0x75, 0, 0x30, 0xb3, 0x12, 0, 0x23}},
		{"NZ_F128", "LTXBR", []byte{0xb3, 0x42, 0, 0x01}},
		{"ICM", "ICM of 0", []byte{0xbf, 0x2f, 0x01, 0x00}},
		{"SLA", "SLA", []byte{0x8b, 0x20, 0, 3}},
		{"SLA", "SLAG", []byte{0xeb, 0x23, 0, 3, 0, 0x0b}},
		{"FLOGR", "FLOGR", []byte{0xb9, 0x83, 0, 0x23}},
		{"LCBB", "LCBB", []byte{0xe7, 0x20, 0x0f, 0xf8, 0, 0x27}},
		{"VC", "VCEQGS", []byte{0xe7, 0x12, 0x30, 0x10, 0x30, 0xf8}},
		{"VC", "VCEQGS of the same", []byte{0xe7, 0x12, 0x20, 0x10, 0x30, 0xf8}},
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
				psws := psw.FindAllSubmatch(text, -1)
				if len(psws) != 2 || string(psws[0][2]) != "CC_OP_"+tt.op {
					t.Fatalf("info registers of two CPUs, %s in the first, is\n%s", tt.op, text)
				}
				cpu := 0
				for _, n := range notes(ours) {
					if name(n) != "CORE/0x1" {
						continue
					}
					got, want := fmt.Sprintf("%016x", binary.BigEndian.Uint64(n.Desc[112:])), string(psws[cpu][1])
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

// psw is what HMP info registers prints of one: "PSW=mask 0000300180000000 addr 0000000000002044 cc    CC_OP_ADD_64".
var psw = regexp.MustCompile(`PSW=mask ([0-9a-f]{16}) addr [0-9a-f]+ cc +(\w+)`)
