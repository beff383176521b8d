package qemu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/test/rig"
	"guestcore/test/testkit"
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
				f := testkit.Boot(t, testkit.Emulator(t, build, subject.target), rig.Config{
					Name: subject.name, Bare: true, NoVMCoreInfo: true, Args: subject.program.Args,
					Files: map[string][]byte{subject.program.File: subject.program.Image},
					Ready: []rig.Word{{Addr: subject.program.Done, Value: subject.program.DoneValue}},
				})
				vm, err := Open(realSource(t, f, f.QEMU.Exe))
				if err != nil {
					t.Fatal(err)
				}
				want, err := vm.CPUs()
				if err != nil || want[0].State == nil {
					t.Fatalf("%v, %s", err, want[0].Reason)
				}
				list, err := vm.cpus()
				if err != nil {
					t.Fatal(err)
				}
				target, err := cpuTargetOf(list[0].Type)
				if err != nil {
					t.Fatal(err)
				}
				releases, err := vm.cpuReleases(target)
				if err != nil {
					t.Fatal(err)
				}
				for i := range releases {
					releases[i].cpu.Size++
				}
				l, err := vm.composeCPULayout(target, list[0], releases)
				if err != nil {
					t.Fatal(err)
				}
				vm.cpuLayout = func() (cpuLayout, error) { return l, nil }
				got, err := vm.CPUs()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
