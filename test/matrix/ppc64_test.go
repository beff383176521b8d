package matrix

import (
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

var ppc64Guests = []guest{
	reset("reset", "ppc64", 0x8000000, "-machine", "pseries", "-m", "256M"), // it gives out memory by 256 MiB
	without(reset("reset-powernv", "ppc64", 0x10000000, "-machine", "powernv9", "-m", "1G"), // it has a hypervisor mode
		pseriesAlone),
	without(reset("reset-g4", "ppc64", 0x1000000, "-machine", "mac99", "-cpu", "g4", "-smp", "1"), pseriesAlone), // has 32 bits
	running("registers-be", "ppc64", rig.PPC64Program(false)),
	without(ppc64Little, map[rig.Build]string{rig.Stock: hidden, rig.Dwarf: hidden}),
}

var pseriesAlone = map[rig.Build]string{rig.Dwarf: "scripts/build-qemu builds no other machine than pseries"}

var ppc64Little = running("registers-le", "ppc64", rig.PPC64Program(true))

const hidden = "QEMU 7.2 takes HID0 for the byte order of interrupts on pseries too, where LPCR has it, and dumps any guest as " +
	"big-endian: TestPPC64AsBigEndian"

var ppc64Explained = []exception{
	{cell{target: "ppc64", build: rig.Bullseye}, "CORE/0x1", "pid", noPid},
	{cell{target: "ppc64", build: rig.Stock}, "CORE/0x1", "pid", noPid},
	{cell{target: "ppc64", build: rig.Dwarf}, "CORE/0x1", "pid", noPid},
}

const noPid = "QEMU leaves it 0 up to 7.2, 10.0 has the number of the CPU, from 1 on"

// TestPPC64AsBigEndian dumps a little-endian guest as QEMU 7.2 does, which takes it for a big-endian one.
func TestPPC64AsBigEndian(t *testing.T) {
	for _, build := range []rig.Build{rig.Stock, rig.Dwarf} {
		t.Run(string(build), func(t *testing.T) {
			g := ppc64Little
			g.Name, g.Bare = g.name, true
			fixture := testkit.Boot(t, testkit.Emulator(t, build, g.target), g.Config)
			for _, err := range check(t, cell{g.target, g.name, build}, fixture, "ppc64-be") {
				t.Error(err)
			}
		})
	}
}
