package rig

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"strings"
)

// QEMU is an emulator that guests run in.
type QEMU struct {
	Name string
	Exe  string
	Args []string // what every guest in it needs, such as the folder of the firmware

	// Root is the folder that is the root of its file system, so its core names files relative to it; "" if it has no own.
	Root string
}

// command returns the program that starts the emulator, and its first arguments.
func (q QEMU) command() (name string, args []string) {
	if q.Root == "" {
		return q.Exe, nil
	}
	return filepath.Join(filepath.Dir(q.Root), "run"), []string{strings.TrimPrefix(q.Exe, q.Root)}
}

// StockQEMU is Debian's own qemu-system-x86_64: stripped, its globals in .dynsym.
func StockQEMU() (QEMU, error) {
	exe, err := installed("qemu-system-x86_64", setup)
	if err != nil {
		return QEMU{}, err
	}
	exe, err = filepath.EvalSymlinks(exe)
	return QEMU{Name: "stock", Exe: exe}, err
}

// SuiteQEMU is the qemu-system-x86_64 of another Debian release, in a folder of its own. Its cores are dumped with
// --sysroot Root.
func SuiteQEMU(suite string) (QEMU, error) {
	whole, err := cached("the QEMU of Debian "+suite, setupTest, "suites", suite, "packages")
	root := filepath.Join(filepath.Dir(whole), "root")
	return QEMU{Name: suite, Exe: filepath.Join(root, "usr/bin/qemu-system-x86_64"), Root: root}, err
}

// DebugQEMU is the QEMU with DWARF that scripts/build-qemu makes. It uses the firmware of Debian's.
func DebugQEMU() (QEMU, error) {
	exe, err := cached("the QEMU with debug information", buildQEMU, "qemu", "dwarf", "qemu-system-x86_64")
	return QEMU{Name: "dwarf", Exe: exe, Args: []string{"-L", "/usr/share/qemu", "-L", "/usr/share/seabios"}}, err
}

// Form is one way in which the symbols of a QEMU reach a debugger.
type Form struct {
	Name     string
	Exe      string
	DebugDir string // "" if nothing is to be found in one
}

// Forms returns the forms of DebugQEMU. They are one build with one build-id, so a core of it goes with each of them.
//
//	dwarf      in the binary
//	build-id   a separate file, found by build-id
//	debuglink  a separate file, found by .gnu_debuglink
//	dwz        a separate file, found by build-id, that refers to a shared file by .gnu_debugaltlink
//	stripped   nowhere: .dynsym has no address_space_memory
func Forms() ([]Form, error) {
	root, err := cached("the QEMU with debug information", buildQEMU, "qemu")
	if err != nil {
		return nil, err
	}
	exe := func(form string) string { return filepath.Join(root, form, "qemu-system-x86_64") }
	none := filepath.Join(root, "stripped") // a folder without debug files, so that the default one is not searched
	return []Form{
		{Name: "dwarf", Exe: exe("dwarf"), DebugDir: none},
		{Name: "build-id", Exe: exe("stripped"), DebugDir: filepath.Join(root, "debug")},
		{Name: "debuglink", Exe: exe("debuglink"), DebugDir: none},
		{Name: "dwz", Exe: exe("stripped"), DebugDir: filepath.Join(root, "dwz")},
		{Name: "stripped", Exe: exe("stripped"), DebugDir: none},
	}, nil
}

// BuildID returns the GNU build-id of an ELF file.
func BuildID(path string) ([]byte, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	section := f.Section(".note.gnu.build-id")
	if section == nil {
		return nil, fmt.Errorf("%s has no build-id", path)
	}
	note, err := section.Data()
	if err != nil || len(note) <= 16 {
		return nil, fmt.Errorf("%s: its build-id note is short", path)
	}
	return note[16:], nil // 12 bytes of header, then "GNU\0"
}
