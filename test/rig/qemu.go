package rig

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"strings"
)

// Build is a QEMU of one version, with an emulator for each architecture of guests.
type Build string

// The builds of the tests. Dwarf and Bullseye have no emulator of loongarch64.
const (
	Stock    Build = "stock"    // Debian's own, 7.2: stripped, its globals in .dynsym
	Dwarf    Build = "dwarf"    // the same source with debug information, made by scripts/build-qemu
	Bullseye Build = "bullseye" // Debian 11's, 5.2, stripped, in a root folder of its own
	Trixie   Build = "trixie"   // Debian 13's, 10.0, likewise
	Sid      Build = "sid"      // Debian unstable's, 11.1 or newer, likewise

	// Debian's own, 7.2, for hosts of other architectures.
	ARM64Host   Build = "arm64-host"
	S390XHost   Build = "s390x-host"
	PPC64ELHost Build = "ppc64el-host"
)

// QEMU is an emulator that guests run in.
type QEMU struct {
	Name   string
	Target string // the guest's architecture, as in the emulator's name
	Exe    string
	Args   []string // what every guest in it needs, such as the folder of the firmware

	// Root is the folder that is the root of its file system, so its core names files relative to it; "" if it has no own.
	// Its cores are dumped with --sysroot Root.
	Root string

	// user emulates the host that the emulator was built for, with files of that in the folder sysroot; "" if it is this machine.
	user, sysroot string
}

// command returns the program that starts the emulator, and its first arguments.
func (q QEMU) command() (name string, args []string) {
	switch {
	case q.user != "":
		return q.user, []string{"-L", q.sysroot, q.Exe}
	case q.Root == "":
		return q.Exe, nil
	}
	return filepath.Join(filepath.Dir(q.Root), "run"), []string{strings.TrimPrefix(q.Exe, q.Root)}
}

// Emulator returns the emulator of a build for guests of one architecture. The cache folder has them at:
//
//	stock/usr/bin/                   those of Stock, but for x86, which is installed
//	qemu/dwarf/                      those of Dwarf
//	suites/bullseye/root/usr/bin/    those of Bullseye; suites/bullseye/run starts them
//	suites/trixie/root/usr/bin/      those of Trixie, likewise
//	suites/sid/root/usr/bin/         those of Sid, likewise
//	hosts/ARCH/root/usr/bin/         those for hosts of other architectures
func Emulator(build Build, target string) (QEMU, error) {
	name := "qemu-system-" + target
	what := name + " of the build " + string(build)
	var q QEMU
	var err error
	switch build {
	case ARM64Host, S390XHost, PPC64ELHost:
		q, err = hostEmulator(build, name, what)
	case Stock:
		switch target {
		case "x86_64":
			if q.Exe, err = installed(name, setup); err == nil {
				q.Exe, err = filepath.EvalSymlinks(q.Exe)
			}
		case "i386":
			q.Exe, err = installed("/usr/libexec/"+name, setup) // in PATH is a script that starts it
		default:
			q.Exe, err = cached(what, setupTest, "stock", "usr", "bin", name)
			q.Args = firmware
		}
	case Dwarf:
		q.Exe, err = cached(what, buildQEMU, "qemu", "dwarf", name)
		q.Args = firmware
	default:
		q.Exe, err = cached(what, setupTest, "suites", string(build), "root", "usr", "bin", name)
		q.Root = strings.TrimSuffix(q.Exe, "/usr/bin/"+name)
	}
	q.Name, q.Target = string(build), target
	if target != "x86_64" {
		q.Name += "-" + target
	}
	return q, err
}

// firmware has an emulator that lies in the cache folder read the firmware of the one that is installed.
var firmware = []string{"-L", "/usr/share/qemu", "-L", "/usr/share/seabios"}

// StockQEMU is Debian's own qemu-system-x86_64.
func StockQEMU() (QEMU, error) { return Emulator(Stock, "x86_64") }

// SuiteQEMU is the qemu-system-x86_64 of another Debian release.
func SuiteQEMU(suite string) (QEMU, error) { return Emulator(Build(suite), "x86_64") }

// DebugQEMU is the qemu-system-x86_64 with DWARF.
func DebugQEMU() (QEMU, error) { return Emulator(Dwarf, "x86_64") }

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
