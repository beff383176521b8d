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
var guests = slices.Concat(x86Guests, armGuests, s390xGuests, ppc64Guests, riscvGuests, loongarchGuests)

// builds are its columns.
var builds = []rig.Build{rig.Stock, rig.Dwarf, rig.Trixie, rig.Sid}

// waiting are the targets of which something is not done yet, and what. A cell of theirs that passes fails the test until the
// target is taken off, so that nothing waits for nothing.
var waiting = map[string]string{
	"x86_64":      "the notes of vCPUs that are not in long mode",
	"i386":        "the notes",
	"arm":         "all",
	"aarch64":     "the notes",
	"s390x":       "the notes",
	"ppc64":       "the notes",
	"riscv64":     "all",
	"loongarch64": "all",
}

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
				what, waits := waiting[g.target]
				switch {
				case waits && len(wrong) == 0:
					t.Errorf("the target waits for %s, but nothing is wrong: take it off the list", what)
				case waits:
					t.Logf("the target waits for %s: %v", what, wrong)
				default:
					for _, err := range wrong {
						t.Error(err)
					}
				}
			})
		}
	}
}

// check dumps the core of a fixture and returns what is wrong with the dump.
func check(t *testing.T, c cell, fixture *rig.Fixture) []error {
	out := filepath.Join(t.TempDir(), "vmcore")
	args := []string{"dump"} // with no architecture: guestcore finds it out, as QEMU did
	if fixture.QEMU.Root != "" {
		args = append(args, "--sysroot", fixture.QEMU.Root)
	}
	result := testkit.Guestcore(t, append(args, fixture.Core, out)...)
	if result.Status != 0 {
		return []error{fmt.Errorf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)}
	}
	ours := testkit.Open(t, out)
	if len(fixture.Config.Saved) > 0 {
		return compareSaved(t, fixture, ours)
	}
	return compareDumps(c, ours, testkit.Open(t, fixture.QMPDump))
}

// compareDumps returns in what our dump differs from QEMU's own, where no reason is known.
func compareDumps(c cell, ours, own *vmcore.File) []error {
	var wrong []error
	if ours.Header != own.Header {
		wrong = append(wrong, fmt.Errorf("the ELF header is %+v, QEMU's is %+v", ours.Header, own.Header))
	}
	if err := vmcore.CompareLoads(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	if _, err := vmcore.Compare(ours, own); err != nil {
		wrong = append(wrong, err)
	}
	for _, d := range c.unexplained(differences(notes(ours), notes(own), own.Header)) {
		wrong = append(wrong, d)
	}
	return wrong
}

// notes are those of a dump that QEMU writes too: all but guestcore's own, which is the last.
func notes(f *vmcore.File) []vmcore.Note {
	n := len(f.Notes)
	if n > 0 && f.Notes[n-1].Name == "GUESTCORE" {
		n--
	}
	return f.Notes[:n]
}
