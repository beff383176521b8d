// Package matrix dumps guests of every architecture from the cores of QEMUs of every version, and holds the dump against QEMU's
// own of the live process: the header, the notes of the vCPUs to the byte, the ranges of memory and what is in them.
//
// The guests are small: bare machines, stopped before their first instruction or in a program of a few instructions that fills
// their registers. Each architecture has a file of them. Guests that run Linux are package e2e's, beside this one.
package matrix

import (
	"errors"
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
var builds = []rig.Build{rig.Bullseye, rig.Stock, rig.Dwarf, rig.Trixie, rig.Sid}

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
				wrong := check(t, cell{g.target, g.name, build}, fixture)
				for _, err := range wrong[:min(len(wrong), 20)] {
					t.Error(err)
				}
				if len(wrong) > 20 {
					t.Errorf("and %d more differences", len(wrong)-20)
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
	wrong := compareDumps(c, ours, testkit.Open(t, fixture.QMPDump))
	if fixture.Config.Paging {
		paging, err := dump(t, fixture, "-p")
		if err != nil {
			return append(wrong, err)
		}
		for _, err := range compareDumps(c, paging, testkit.Open(t, fixture.PagingDump())) {
			wrong = append(wrong, fmt.Errorf("with paging: %w", err))
		}
	}
	return wrong
}

// dump is guestcore's dump of the core of a fixture, with more arguments.
func dump(t *testing.T, fixture *rig.Fixture, more ...string) (*vmcore.File, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "vmcore")
	args := []string{"dump"}
	if fixture.QEMU.Root != "" {
		args = append(args, "--sysroot", fixture.QEMU.Root)
	}
	args = append(args, fixture.Core, out)
	result := testkit.Guestcore(t, append(args, more...)...)
	if result.Status != 0 {
		return nil, fmt.Errorf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
	}
	return testkit.Open(t, out), nil
}

// compareDumps returns in what our dump differs from QEMU's own, where no reason is known.
func compareDumps(c cell, ours, own *vmcore.File) []error {
	var wrong []error
	if len(own.Notes) == 0 {
		wrong = append(wrong, errors.New("QEMU's dump has no notes to compare with"))
	}
	if err := vmcore.CompareLoads(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	if _, err := vmcore.Compare(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	found := headerDifferences(ours.Header, own.Header)
	if len(found) == 0 {
		found = noteDifferences(ours, own)
	}
	for _, d := range c.unexplained(found) {
		wrong = append(wrong, d)
	}
	return wrong
}
