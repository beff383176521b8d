// Package e2e runs guestcore on cores of real guests and holds what it writes against QEMU's own dump, QEMU's Python script
// and the programs that read such files.
package e2e

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// dump runs `guestcore dump` with these flags and opens the ELF file that it wrote.
func dump(t *testing.T, fixture *rig.Fixture, flags ...string) *vmcore.File {
	t.Helper()
	return testkit.Open(t, dumpFile(t, fixture, flags...))
}

// dumpFile runs `guestcore dump` with these flags and returns the path of what it wrote.
func dumpFile(t *testing.T, fixture *rig.Fixture, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "vmcore")
	args := append([]string{"dump"}, flags...)
	result := testkit.Guestcore(t, append(args, fixture.Core, out)...)
	if result.Status != 0 {
		t.Fatalf("guestcore dump ended with status %d:\n%s", result.Status, result.Output)
	}
	return out
}

// TestDumpEqualsQEMU dumps guests of every kind from the cores of QEMUs of every kind. QEMU's own dump is the judge; where
// the Python script can run, its dump is one too.
func TestDumpEqualsQEMU(t *testing.T) {
	for _, config := range []rig.Config{rig.PC, rig.Q35, rig.NUMA, rig.Bare} {
		t.Run("stock/"+config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
			ours := dump(t, fixture)
			own := testkit.Open(t, fixture.QMPDump)
			testkit.Equal(t, ours, own)
			if err := vmcore.CompareLoads(ours, own); err != nil {
				t.Error(err)
			}
			sameNotes(t, ours, own)
		})
	}
	for _, suite := range []string{"trixie", "sid"} {
		t.Run(suite+"/"+rig.PC.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.SuiteQEMU(t, suite), rig.PC)
			ours := dump(t, fixture, "--sysroot", fixture.QEMU.Root)
			own := testkit.Open(t, fixture.QMPDump)
			testkit.Equal(t, ours, own)
			if err := vmcore.CompareLoads(ours, own); err != nil {
				t.Error(err)
			}
			sameNotes(t, ours, own)
		})
	}
	for _, config := range []rig.Config{rig.PC, rig.Q35, rig.NUMA, rig.Bare} {
		for _, form := range testkit.Forms(t) {
			t.Run(form.Name+"/"+config.Name, func(t *testing.T) {
				fixture := testkit.Boot(t, testkit.DebugQEMU(t), config)
				ours := dump(t, fixture, "--exe", form.Exe, "--debug-dir", form.DebugDir)
				own, script := testkit.Open(t, fixture.QMPDump), testkit.ScriptDump(t, fixture)
				testkit.Equal(t, ours, own)
				testkit.Equal(t, ours, script)
				if err := vmcore.CompareLoads(ours, script); err != nil {
					t.Error(err)
				}
				sameNotes(t, ours, own)
			})
		}
	}
}

// sameNotes fails the test unless our notes are QEMU's, byte for byte and in that order, and then one of our own, in a file of
// the same class for the same machine: that of a guest in real mode is ELF64 for EM_386.
//
// That goes for flags too, which TCG computes late and the notes of QEMU take as they lie in memory: when a vCPU stops, it adds
// the flags there that it had not computed (x86_cpu_exec_exit), so that a stopped guest has them all. TestExecuting has one
// that was not stopped.
func sameNotes(t *testing.T, ours, own *vmcore.File) {
	t.Helper()
	if a, b := ours.Header, own.Header; a.Class != b.Class || a.Machine != b.Machine || a.Data != b.Data {
		t.Errorf("ours is %v for %v, QEMU's %v for %v", a.Class, a.Machine, b.Class, b.Machine)
	}
	notes := ours.Notes
	if last := len(notes) - 1; last < 0 || notes[last].Name != "GUESTCORE" {
		t.Errorf("%d notes in ours, and the last is not GUESTCORE", len(notes))
		return
	}
	if diff := cmp.Diff(own.Notes, notes[:len(notes)-1]); diff != "" {
		t.Errorf("our notes (+) are not QEMU's (-):\n%s", diff)
	}
}

// TestDumpShape holds the file to what its readers need: makedumpfile wants the program headers right behind the header,
// crash wants the notes before the memory, and tells a dump of memory by p_align 0.
func TestDumpShape(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	file := dump(t, fixture)
	if file.Phoff != 64 {
		t.Errorf("the program headers are at %d, not 64", file.Phoff)
	}
	if len(file.Notes) == 0 {
		t.Error("there is no note")
	}
	for _, l := range file.Loads {
		if l.Offset%4096 != 0 || l.Align != 0 || l.Vaddr != l.Paddr || l.Memsz != l.Filesz {
			t.Errorf("PT_LOAD %+v: want a page-aligned offset, p_align 0, p_vaddr as p_paddr, p_memsz as p_filesz", l)
		}
		if l.Offset < file.NotesEnd {
			t.Errorf("memory at offset %#x is before the end of the notes at %#x", l.Offset, file.NotesEnd)
		}
	}
}

// TestDumpIsSparse holds the dump to the size of what the guest touched: holes of the core stay holes.
func TestDumpIsSparse(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	file := dump(t, fixture)
	if size, most := rig.OnDisk(file.Path), int64(16<<20); size > most {
		t.Errorf("the dump of a guest that never ran takes %d bytes on disk, at most %d are right", size, most)
	}
}

// TestDumpRAMFile supplies the RAM that lies in a file and not in the core.
func TestDumpRAMFile(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.SharedFile)
	testkit.Equal(t, dump(t, fixture, "--ram", "ram="+fixture.RAMFile), testkit.Open(t, fixture.QMPDump))
}
