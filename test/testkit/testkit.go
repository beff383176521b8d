// Package testkit gives the end-to-end tests what they need: guests, programs and the tool under test, typed and with a
// *testing.T.
//
// A part that is not on this machine skips the test and says what brings it; in CI (environment variable CI set) it fails
// it, so that nothing is left out in silence. Package rig, below, makes the parts; the tests are above.
package testkit

import (
	"errors"
	"os"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/vmcore"
)

// need returns v, or ends the test because v is not to be had.
func need[T any](t testing.TB, v T, err error) T {
	t.Helper()
	var missing *rig.MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing) && os.Getenv("CI") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return v
}

// Emulator is the emulator of a build for guests of one architecture.
func Emulator(t testing.TB, build rig.Build, target string) rig.QEMU {
	t.Helper()
	qemu, err := rig.Emulator(build, target)
	if qemu.Root != "" {
		NeedsMount(t)
	}
	return need(t, qemu, err)
}

// StockQEMU is Debian's QEMU.
func StockQEMU(t testing.TB) rig.QEMU {
	t.Helper()
	qemu, err := rig.StockQEMU()
	return need(t, qemu, err)
}

// SuiteQEMU is the QEMU of another Debian release.
func SuiteQEMU(t testing.TB, suite string) rig.QEMU {
	t.Helper()
	return Emulator(t, rig.Build(suite), "x86_64")
}

// DebugQEMU is the QEMU with debug information.
func DebugQEMU(t testing.TB) rig.QEMU {
	t.Helper()
	qemu, err := rig.DebugQEMU()
	return need(t, qemu, err)
}

// Forms are the forms of DebugQEMU: in the binary, split by build-id, and so on.
func Forms(t testing.TB) []rig.Form {
	t.Helper()
	forms, err := rig.Forms()
	return need(t, forms, err)
}

// MinimalGDB is the path of a gdb without Python.
func MinimalGDB(t testing.TB) string {
	t.Helper()
	path, err := rig.MinimalGDB()
	return need(t, path, err)
}

// NamedGDB is one of the gdbs under test.
type NamedGDB struct {
	Name, Path string
	// OwnTLS tells that it finds thread-local variables itself on a remote target, as gdb does from 17 on.
	OwnTLS bool
}

// GDBs are Debian's gdbs, from 13 without Python to the newest. No release of Debian has 17.
func GDBs(t testing.TB) []NamedGDB {
	t.Helper()
	trixie, err := rig.SuiteGDB("trixie")
	need(t, trixie, err)
	sid, err := rig.SuiteGDB("sid")
	need(t, sid, err)
	return []NamedGDB{
		{Name: "13-minimal", Path: MinimalGDB(t)}, {Name: "13", Path: PythonGDB(t)},
		{Name: "16", Path: trixie}, {Name: "newest", Path: sid, OwnTLS: true},
	}
}

// PythonGDB is the path of Debian 12's full gdb.
func PythonGDB(t testing.TB) string {
	t.Helper()
	path, err := rig.PythonGDB()
	return need(t, path, err)
}

// MultiarchGDB is the path of a gdb that knows every architecture.
func MultiarchGDB(t testing.TB) string {
	t.Helper()
	path, err := rig.MultiarchGDB()
	return need(t, path, err)
}

// GDBServer is the path of gdbserver.
func GDBServer(t testing.TB) string {
	t.Helper()
	path, err := rig.GDBServer()
	return need(t, path, err)
}

// Crash is the path of the crash utility.
func Crash(t testing.TB) string {
	t.Helper()
	path, err := rig.Crash()
	return need(t, path, err)
}

// Makedumpfile is the path of makedumpfile.
func Makedumpfile(t testing.TB) string {
	t.Helper()
	path, err := rig.Makedumpfile()
	return need(t, path, err)
}

// Python is the path of a Python with libkdumpfile and drgn; it wants the flag -I.
func Python(t testing.TB) string {
	t.Helper()
	path, err := rig.Python()
	return need(t, path, err)
}

// Sid is the path of one of Debian unstable's crash, makedumpfile, drgn and kdumpid. The program sees the files in the cache and
// in the temporary folder, and must start in one of them.
func Sid(t testing.TB, program string) string {
	t.Helper()
	NeedsMount(t)
	path, err := rig.SidProgram(program)
	return need(t, path, err)
}

// Radare2 is the path of Debian unstable's radare2, which sees the same files as a program of [Sid].
func Radare2(t testing.TB) string {
	t.Helper()
	NeedsMount(t)
	path, err := rig.Radare2()
	return need(t, path, err)
}

// Compressor is the path of one of the programs zstd, lz4, xz, gzip and bzip2.
func Compressor(t testing.TB, name string) string {
	t.Helper()
	path, err := rig.Compressor(name)
	return need(t, path, err)
}

// VMLinux is the path of the guest kernel's debug information.
func VMLinux(t testing.TB) string {
	t.Helper()
	path, err := rig.VMLinux()
	return need(t, path, err)
}

// ForeignLinux is a guest of another architecture that runs Linux, and its kernel's release.
func ForeignLinux(t testing.TB, target string) (rig.Config, string) {
	t.Helper()
	config, release, err := rig.ForeignLinux(target)
	return need(t, config, err), release
}

// Boot returns a guest that was stopped, dumped and killed, from the cache or made now.
func Boot(t testing.TB, qemu rig.QEMU, config rig.Config) *rig.Fixture {
	t.Helper()
	fixture, err := rig.Boot(t.Context(), qemu, config)
	return need(t, fixture, err)
}

// ScriptDump opens the dump that QEMU's Python script makes of a fixture's core.
func ScriptDump(t testing.TB, fixture *rig.Fixture) *vmcore.File {
	t.Helper()
	path, err := fixture.ScriptDump(t.Context())
	return Open(t, need(t, path, err))
}

// Open opens an ELF dump until the test ends.
func Open(t testing.TB, path string) *vmcore.File {
	t.Helper()
	file, err := vmcore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// Equal fails the test if two dumps differ in the guest's memory.
func Equal(t testing.TB, a, b *vmcore.File) {
	t.Helper()
	n, err := vmcore.Compare(a, b)
	if err != nil {
		t.Error(err)
		return
	}
	t.Logf("%d bytes of guest memory are identical in %s and %s", n, a.Path, b.Path)
}
