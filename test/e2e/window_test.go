package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// TestWindow dumps parts of guest memory as QEMU does with begin and length, in the words of the command line and of
// QEMU's monitor.
func TestWindow(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Windows)
	gdb, address := testkit.MinimalGDB(t), serve(t, "", fixture.Core).Address
	for _, w := range fixture.Config.Windows {
		begin, length := fmt.Sprintf("%#x", w.Begin), fmt.Sprint(w.Length)
		t.Run(begin+"+"+length, func(t *testing.T) {
			own := testkit.Open(t, fixture.WindowDump(w))
			out := filepath.Join(t.TempDir(), "vmcore")
			result := testkit.GDB(t, gdb, commands("target remote "+address, "monitor dump-guest-memory "+out+" "+begin+" "+length)...)
			if result.Status != 0 {
				t.Fatalf("gdb ended with status %d:\n%s", result.Status, result.Output)
			}
			for _, ours := range []*vmcore.File{dump(t, fixture, "--begin", begin, "--length", length), testkit.Open(t, out)} {
				testkit.Equal(t, ours, own)
				if err := vmcore.CompareLoads(ours, own); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
