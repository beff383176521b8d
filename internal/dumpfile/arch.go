package dumpfile

import (
	"debug/elf"
	"fmt"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/dump/notefile"
	"guestcore/internal/guest"
)

// unames are architectures by what uname -m says. QEMU writes S390X, and for
// some Unknown.
var unames = map[string]elf.Machine{
	"x86_64": elf.EM_X86_64, "i386": elf.EM_386, "i486": elf.EM_386, "i586": elf.EM_386, "i686": elf.EM_386,
	"aarch64": elf.EM_AARCH64, "aarch64_be": elf.EM_AARCH64, "s390x": elf.EM_S390,
	"ppc64": elf.EM_PPC64, "ppc64le": elf.EM_PPC64, "armv7l": elf.EM_ARM, "armv7b": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "riscv32": elf.EM_RISCV, "loongarch64": elf.EM_LOONGARCH,
}

// Arch is the architecture of the guest with that name or, for "" and "auto",
// the one that the file tells of: by its header, by the notes of its
// processors, by the machine's name, which QEMU has wrong for 32-bit guests of
// a 64-bit machine.
func (f *File) Arch(name string) (arch.Guest, error) {
	if !arch.IsAuto(name) {
		return arch.GuestByName(name)
	}
	m := f.Machine
	if m == elf.EM_NONE && f.Order != nil {
		var ok bool
		if m, ok = notefile.Machine(f.Order, f.guestNotes()); !ok {
			m = unames[strings.ToLower(f.uname)]
		}
	}
	for _, g := range arch.Guests {
		if g.Machine != m || g.Order != f.Order {
			continue
		}
		// A file for 32 bits may be one of 64, where the memory needs it; of
		// RISC-V it cannot be told then.
		if g.Class == f.Class || g.Class == elf.ELFCLASS32 && m != elf.EM_RISCV {
			return g, nil
		}
	}
	what := f.Format
	if m != elf.EM_NONE {
		what = machineName(f.Class, f.Order, m)
	}
	return arch.Guest{}, fmt.Errorf("the architecture of the guest is not known (%s): name it with --arch, one of %s",
		what, strings.Join(arch.GuestNames(), ", "))
}

// guestNotes are the notes as other packages take them.
func (f *File) guestNotes() []guest.Note {
	var out []guest.Note
	for _, n := range f.notes {
		out = append(out, guest.Note{Name: n.name, Type: n.typ, Desc: n.desc})
	}
	return out
}
