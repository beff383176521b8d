package e2e

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/winguest"
)

// xmm is an SSE register as QEMU's monitor prints it, the highest byte first.
var xmm = regexp.MustCompile(`XMM0[0-7]=([0-9a-f]{16}) ([0-9a-f]{16})`)

// TestWindowsFloat has the x87 and SSE registers written too. The file is QEMU's own but for these, which are as QEMU's monitor
// prints them.
func TestWindowsFloat(t *testing.T) {
	for name, kind := range map[string]winguest.Kind{"64": windows64, "pae": windowsPAE} {
		fixture := testkit.Boot(t, testkit.StockQEMU(t), windowsGuest(name, kind, false, nil))
		ours, err := os.ReadFile(dumpFile(t, fixture, "-w", "--float-context"))
		if err != nil {
			t.Fatal(err)
		}
		own, err := os.ReadFile(fixture.Dump(rig.WindowsDump))
		if err != nil {
			t.Fatal(err)
		}
		printed, err := os.ReadFile(fixture.Registers)
		if err != nil {
			t.Fatal(err)
		}
		wanted := [][]byte{
			{0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40}, // pi, which fldpi loads
			{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f},                      // 1.0
		}
		for _, m := range xmm.FindAllSubmatch(printed, -1) {
			v, err := hex.DecodeString(string(m[1]) + string(m[2]))
			if err != nil {
				t.Fatal(err)
			}
			slices.Reverse(v)
			wanted = append(wanted, v)
		}
		if len(wanted) != 2+8*winguest.CPUs {
			t.Fatalf("QEMU's monitor printed %d registers:\n%s", len(wanted)-2, printed)
		}
		for i, v := range wanted {
			n := 1
			if i < 2 { // the same in both processors
				n = winguest.CPUs
			}
			if got := bytes.Count(ours, v) - bytes.Count(own, v); got < n {
				t.Errorf("%s: register %x is in the file %d times more than in QEMU's", name, v, got)
			}
		}
		const most = 640 * winguest.CPUs // the areas of FXSAVE and, on 32 bits, FSAVE; and the flags
		differ := 0
		for i := range min(len(ours), len(own)) {
			if ours[i] != own[i] {
				differ++
			}
		}
		if len(ours) != len(own) || differ == 0 || differ > most {
			t.Errorf("%s: %d bytes, QEMU's file has %d; %d differ", name, len(ours), len(own), differ)
		}
	}
}
