package qemu

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/guest"
	"guestcore/test/rig"
)

// The registers of a QEMU whose release is in no table are read as they are, or
// not at all: of one newer than the tables, older than them, or between.
func TestUnknownRelease(t *testing.T) {
	read := map[string]int{}
	for target, program := range map[string]rig.Program{
		"x86_64": rig.X86Program(), "aarch64": rig.AArch64Program(false), "arm": rig.ARMProgram(false),
		"s390x": rig.S390XProgram(), "ppc64": rig.PPC64Program(true), "riscv64": rig.RISCVProgram("riscv64"),
	} {
		for _, build := range []rig.Build{rig.Stock, rig.Trixie, rig.Sid} {
			for name, keep := range map[string]func(order int) bool{
				"between": func(order int) bool { return order != 0 },
				"newer":   func(order int) bool { return order < 0 },
				"older":   func(order int) bool { return order > 0 },
			} {
				t.Run(fmt.Sprint(target, "/", build, "/", name), func(t *testing.T) {
					f := programGuest(t, build, target, "registers", program)
					vm, err := Open(realSource(t, f, f.QEMU.Exe))
					if err != nil {
						t.Fatal(err)
					}
					want := states(t, vm)
					if !vm.forget(t, keep) {
						return // there is none but its own
					}
					got := states(t, vm)
					for i, state := range got {
						if diff := cmp.Diff(want[i], state); state != nil && diff != "" {
							t.Errorf("vCPU %d:\n%s", i, diff)
						}
					}
					if got[0] != nil {
						read[target]++
					}
				})
			}
		}
		if read[target] < 7 { // of 8
			t.Errorf("%s: the registers are read in %d cases only", target, read[target])
		}
	}
}

// states are the registers of the vCPUs.
func states(t *testing.T, vm *VM) (out []any) {
	t.Helper()
	cpus, err := vm.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cpus {
		if c.Index != i {
			t.Errorf("vCPU %d is number %d", i, c.Index)
		}
		if c.Trust == guest.Unknown {
			t.Logf("vCPU %d: %s", i, c.Reason)
			out = append(out, nil)
			continue
		}
		out = append(out, c.State)
	}
	return out
}

// forget finds the layout of the vCPUs anew, without the releases of QEMU's own
// minor version and with those alone that keep wants, by how they compare with
// it. It reports false if none is left.
func (vm *VM) forget(t *testing.T, keep func(order int) bool) bool {
	t.Helper()
	left := 0
	vm.relayout(t, func(releases []cpuRelease) []cpuRelease {
		own := numbers(vm.version())[:2]
		releases = slices.DeleteFunc(releases, func(r cpuRelease) bool { return !keep(slices.Compare(numbers(r.version)[:2], own)) })
		later := func(r cpuRelease) bool { return compareVersions(r.version, vm.version()) > 0 }
		for i, r := range releases {
			releases[i].own = i == 0 && !later(r) && slices.ContainsFunc(releases, later)
		}
		left = len(releases)
		return releases
	})
	return left > 0
}

// relayout finds the layout of the vCPUs anew, with other releases.
func (vm *VM) relayout(t *testing.T, change func([]cpuRelease) []cpuRelease) {
	t.Helper()
	cpus, err := vm.cpus()
	if err != nil {
		t.Fatal(err)
	}
	target, err := cpuTargetOf(cpus[0].Type)
	if err != nil {
		t.Fatal(err)
	}
	releases, err := vm.cpuReleases(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := vm.composeCPULayout(target, cpus[0], change(releases))
	if err == nil {
		err = vm.checkCPUs(l, target)
	}
	vm.cpuLayout = func() (cpuLayout, error) { return l, err }
}
