package qemu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/test/rig"
)

// The registers of a processor without SVE are read where no table knows its
// ARMCPU, as of a stable release between two of the table's: its properties say
// what it has not.
func TestUnknownARMCPU(t *testing.T) {
	for _, subject := range []struct {
		name, target string
		program      rig.Program
	}{{"registers-a57", "aarch64", rig.CortexA57Program()}, {"registers", "arm", rig.ARMProgram(false)}} {
		for _, build := range []rig.Build{rig.Bullseye, rig.Stock, rig.Trixie, rig.Sid} {
			t.Run(subject.target+"/"+string(build), func(t *testing.T) {
				f := programGuest(t, build, subject.target, subject.name, subject.program)
				vm, err := Open(realSource(t, f, f.QEMU.Exe))
				if err != nil {
					t.Fatal(err)
				}
				want := states(t, vm)
				vm.relayout(t, func(releases []cpuRelease) []cpuRelease {
					for i := range releases {
						releases[i].cpu.Size++
					}
					return releases
				})
				if diff := cmp.Diff(want, states(t, vm)); diff != "" || want[0] == nil {
					t.Error(diff)
				}
			})
		}
	}
}
