// Package arch holds what differs from one processor architecture to the
// next: for guests the names people give them and the ELF header a dump of
// one carries; for hosts the registers and their description for gdb.
//
// It knows neither files nor processes.
package arch

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// Guest is an architecture a virtual machine may have.
type Guest struct {
	// Name is the one QEMU's dump-guest-memory.py takes.
	Name     string
	Machine  elf.Machine
	Class    elf.Class
	Order    binary.ByteOrder
	PageSize uint64 // bytes, the smallest the architecture's kernels use
	aliases  []string
}

func (g Guest) String() string { return g.Name }

// Guests lists the architectures, in the order of the script's help.
// The names, ELF machines and byte orders are those of
// scripts/dump-guest-memory.py (unchanged since QEMU 2.6); it knows none from
// arm on.
var Guests = []Guest{
	{Name: "aarch64-be", Machine: elf.EM_AARCH64, Class: elf.ELFCLASS64, Order: binary.BigEndian, PageSize: 4096,
		aliases: []string{"arm64-be", "aarch64_be"}},
	{Name: "aarch64-le", Machine: elf.EM_AARCH64, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"aarch64", "arm64", "arm64-le"}},
	{Name: "X86_64", Machine: elf.EM_X86_64, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"x86-64", "amd64", "x64"}},
	{Name: "386", Machine: elf.EM_386, Class: elf.ELFCLASS32, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"i386", "i486", "i586", "i686", "x86"}},
	{Name: "s390", Machine: elf.EM_S390, Class: elf.ELFCLASS64, Order: binary.BigEndian, PageSize: 4096,
		aliases: []string{"s390x"}},
	{Name: "ppc64-be", Machine: elf.EM_PPC64, Class: elf.ELFCLASS64, Order: binary.BigEndian, PageSize: 4096,
		aliases: []string{"ppc64"}},
	{Name: "ppc64-le", Machine: elf.EM_PPC64, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"ppc64le", "ppc64el"}},
	{Name: "arm", Machine: elf.EM_ARM, Class: elf.ELFCLASS32, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"arm-le", "armhf", "armel"}},
	{Name: "arm-be", Machine: elf.EM_ARM, Class: elf.ELFCLASS32, Order: binary.BigEndian, PageSize: 4096,
		aliases: []string{"armeb"}},
	{Name: "riscv64", Machine: elf.EM_RISCV, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: 4096},
	{Name: "riscv32", Machine: elf.EM_RISCV, Class: elf.ELFCLASS32, Order: binary.LittleEndian, PageSize: 4096},
	{Name: "loongarch64", Machine: elf.EM_LOONGARCH, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: 4096,
		aliases: []string{"loong64"}},
}

// GuestByName finds an architecture by its name or another usual spelling;
// case does not matter.
func GuestByName(name string) (Guest, error) {
	for _, g := range Guests {
		if strings.EqualFold(name, g.Name) {
			return g, nil
		}
		for _, a := range g.aliases {
			if strings.EqualFold(name, a) {
				return g, nil
			}
		}
	}
	return Guest{}, fmt.Errorf("unknown architecture %q: use one of %s, or auto", name, strings.Join(GuestNames(), ", "))
}

// IsAuto reports whether a name leaves the architecture to be found out: "" and
// auto do.
func IsAuto(name string) bool { return name == "" || strings.EqualFold(name, "auto") }

// CheckGuestName refuses what is neither [IsAuto] nor known to [GuestByName].
func CheckGuestName(name string) error {
	if IsAuto(name) {
		return nil
	}
	_, err := GuestByName(name)
	return err
}

// GuestNames lists the names of [Guests].
func GuestNames() []string {
	var names []string
	for _, g := range Guests {
		names = append(names, g.Name)
	}
	return names
}
