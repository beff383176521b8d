package e2e

import (
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// TestOraclesAgree shows what the other tests stand on: QEMU's own dump of the stopped guest and the Python script's dump
// of the core, taken in two ways from two sources, have the same PT_LOADs and the same bytes. That includes the ROM below
// 4 GiB: to QEMU and to the script a ROM is RAM that the guest cannot write.
func TestOraclesAgree(t *testing.T) {
	for _, config := range []rig.Config{rig.PC, rig.Q35, rig.NUMA, rig.Bare} {
		t.Run(config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.DebugQEMU(t), config)
			own, script := testkit.Open(t, fixture.QMPDump), testkit.ScriptDump(t, fixture)
			testkit.Equal(t, own, script)
			if err := vmcore.CompareLoads(own, script); err != nil {
				t.Error(err)
			}
			if !own.Has(0xffff_fff0) {
				t.Error("the dumps lack the ROM of the reset vector")
			}
			for _, dump := range []*vmcore.File{own, script} {
				if has := dump.Note("VMCOREINFO") != nil; has == config.Bare {
					t.Errorf("%s: VMCOREINFO note: %v", dump.Path, has)
				}
			}
		})
	}
}
