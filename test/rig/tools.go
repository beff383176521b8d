package rig

import (
	"os"
	"os/exec"
	"strings"
)

// PythonGDB is Debian's full gdb, which runs QEMU's Python script.
func PythonGDB() (string, error) {
	return cached("a gdb with Python", setupTest, "bin", "gdb-python")
}

// MinimalGDB is Debian's gdb-minimal, which has no Python.
func MinimalGDB() (string, error) {
	return cached("gdb-minimal", setupTest, "bin", "gdb-minimal")
}

// GDBServer is Debian's gdbserver.
func GDBServer() (string, error) { return cached("gdbserver", setupTest, "bin", "gdbserver") }

// MultiarchGDB is Debian's gdb that knows every architecture.
func MultiarchGDB() (string, error) {
	return cached("gdb-multiarch", setupTest, "bin", "gdb-multiarch")
}

// SuiteGDB is the full gdb of a newer Debian release, trixie (16.3) or sid (18.1 in November 2026). It runs outside of the
// release's folder and so finds this machine's files.
func SuiteGDB(suite string) (string, error) {
	return cached("Debian "+suite+"'s gdb", setupTest, "bin", "gdb-"+suite)
}

// GDB is the gdb of this machine, whichever it is.
func GDB() (string, error) { return installed("gdb", setup) }

// Crash is the crash utility.
func Crash() (string, error) { return installed("crash", setupTest) }

// Makedumpfile is makedumpfile.
func Makedumpfile() (string, error) { return installed("makedumpfile", setupTest) }

// Python is Debian's Python with the packages python3-libkdumpfile and python3-drgn. It wants the flag -I: the user's own
// modules and settings are not asked.
func Python() (string, error) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-I", "-c", "import kdumpfile, drgn").Run(); err != nil {
		return "", &MissingError{What: "a Python with libkdumpfile and drgn", Run: setupTest}
	}
	return python, nil
}

// Compressor is one of the programs zstd, lz4, xz, gzip and bzip2.
func Compressor(name string) (string, error) { return installed(name, setupTest) }

// SidProgram is one of Debian unstable's crash, makedumpfile, drgn and kdumpid, which reads more than the system's does.
func SidProgram(program string) (string, error) {
	return cached("Debian unstable's "+program, setupTest, "bin", "sid-"+program)
}

// Radare2 is Debian unstable's radare2, which reads Windows crash dumps of 64 bits.
func Radare2() (string, error) {
	return cached("Debian unstable's radare2", setupTest, "bin", "radare2-sid-radare2")
}

// VMLinux is the guest's kernel with debug information, as crash wants it.
func VMLinux() (string, error) {
	return cached("the guest kernel's vmlinux", setupTest, "guest", "vmlinux")
}

// KernelRelease is what uname -r says in the guest.
func KernelRelease() (string, error) {
	path, err := cached("the guest's kernel", setup, "guest", "release")
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile(path)
	return strings.TrimSpace(string(release)), err
}

// Script is QEMU's dump-guest-memory.py, from the source of the QEMU under test.
func Script() (string, error) {
	return cached("QEMU's dump-guest-memory.py", buildQEMU, "qemu", "dump-guest-memory.py")
}

func installed(program, run string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", &MissingError{What: program, Run: run}
	}
	return path, nil
}
