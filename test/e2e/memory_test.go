package e2e

import (
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// emulators are the QEMUs of the memory tests.
var emulators = map[string]func(testing.TB) rig.QEMU{
	"stock":  testkit.StockQEMU,
	"trixie": func(t testing.TB) rig.QEMU { return testkit.SuiteQEMU(t, "trixie") },
	"sid":    func(t testing.TB) rig.QEMU { return testkit.SuiteQEMU(t, "sid") },
	"dwarf":  testkit.DebugQEMU,
}

func TestScratch(t *testing.T) {
	for name, q := range emulators {
		for _, config := range []rig.Config{rig.DIMMs, rig.VirtioMem, rig.VirtioMemSlots} {
			t.Run(name+"/"+config.Name, func(t *testing.T) {
				fixture := testkit.Boot(t, q(t), config)
				var flags []string
				if fixture.QEMU.Root != "" {
					flags = append(flags, "--sysroot", fixture.QEMU.Root)
				}
				if config.Name == "dimms" {
					flags = append(flags, "--ram", "nv="+fixture.Dir+"/nv.img")
				}
				ours, own := dump(t, fixture, flags...), testkit.Open(t, fixture.QMPDump)
				testkit.Equal(t, ours, own)
				if err := vmcore.CompareLoads(ours, own); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
