// Package matrix dumps guests of every architecture from the cores of QEMUs of every version, and holds the dump against QEMU's
// own of the live process: the header, the notes of the vCPUs to the byte, the ranges of memory and what is in them.
//
// The guests are small: bare machines, stopped before their first instruction or in a program of a few instructions that fills
// their registers. Each architecture has a file of them. Guests that run Linux are package e2e's, beside this one.
package matrix

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// guests are the rows of the matrix.
var guests = slices.Concat(x86Guests, armGuests, s390xGuests, ppc64Guests, riscvGuests, loongarchGuests, vcpuGuests, memoryGuests)

// builds are its columns.
var builds = []rig.Build{rig.Stock, rig.Dwarf, rig.Trixie, rig.Sid}

func TestMatrix(t *testing.T) {
	for _, g := range guests {
		for _, build := range builds {
			if g.without[build] != "" {
				continue
			}
			t.Run(path.Join(g.target, g.name, string(build)), func(t *testing.T) {
				t.Parallel()
				g.Name, g.Bare = g.name, true
				fixture := testkit.Boot(t, testkit.Emulator(t, build, g.target), g.Config)
				c := cell{g.target, g.name, build}
				wrong := check(t, c, fixture)
				what := c.waitsFor()
				switch {
				case what != "" && len(wrong) == 0:
					t.Errorf("this waits for %s, but nothing is wrong: take it off the list", what)
				case what != "":
					t.Logf("this waits for %s; %d differences, the first: %.300v", what, len(wrong), wrong[0])
				default:
					for _, err := range wrong[:min(len(wrong), 20)] {
						t.Error(err)
					}
					if len(wrong) > 20 {
						t.Errorf("and %d more differences", len(wrong)-20)
					}
				}
			})
		}
	}
}

// check dumps the core of a fixture and returns what is wrong with the dump. Without an architecture guestcore finds it out, as
// QEMU did.
func check(t *testing.T, c cell, fixture *rig.Fixture, architecture ...string) []error {
	ours, err := dump(t, fixture, architecture...)
	if err != nil {
		return []error{err}
	}
	if len(fixture.Config.Saved) > 0 {
		return compareSaved(t, fixture, ours)
	}
	return compareDumps(c, ours, testkit.Open(t, fixture.QMPDump))
}

// dump is guestcore's dump of the core of a fixture.
func dump(t *testing.T, fixture *rig.Fixture, architecture ...string) (*vmcore.File, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "vmcore")
	args := []string{"dump"}
	if fixture.QEMU.Root != "" {
		args = append(args, "--sysroot", fixture.QEMU.Root)
	}
	args = append(args, fixture.Core, out)
	result := testkit.Guestcore(t, append(args, architecture...)...)
	if result.Status != 0 {
		return nil, fmt.Errorf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
	}
	return testkit.Open(t, out), nil
}

// compareDumps returns in what our dump differs from QEMU's own, where no reason is known.
func compareDumps(c cell, ours, own *vmcore.File) []error {
	var wrong []error
	if err := vmcore.CompareLoads(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	if _, err := vmcore.Compare(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	for _, d := range c.unexplained(append(headerDifferences(ours.Header, own.Header), noteDifferences(ours, own)...)) {
		wrong = append(wrong, d)
	}
	return wrong
}
