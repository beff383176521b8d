package linux

import (
	"debug/elf"
	"fmt"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// Commands are the commands that open a dump of a machine.
type Commands struct {
	Crash string `json:"crash,omitempty"`
	Drgn  string `json:"drgn,omitempty"` // "" if drgn cannot open it
	// Remarks say what has to be had for them, a sentence each.
	Remarks []string `json:"remarks,omitempty"`
}

// OpenWith says how to open the dump of m in a file. registers tells that the
// dump has those of the vCPUs, in which crash finds what it needs of an x86-64
// kernel without VMCOREINFO. Nothing is known of a kernel that is not Linux.
func OpenWith(m *guest.Machine, file string, registers bool) Commands {
	k := m.Kernel
	if k == nil || k.System != "Linux" && k.PhysBase == nil {
		return Commands{}
	}
	vmlinux := "vmlinux"
	if k.Release != "" {
		vmlinux += "-" + k.Release
	}
	var c Commands
	var flags []string
	noted := m.VMCoreInfo != nil
	if isX86(m) && !noted && !registers && k.Offset != nil {
		flags = append(flags, fmt.Sprintf("--kaslr=%#x", *k.Offset))
	}
	if isX86(m) && k.PhysBase != nil && (!noted && !registers || noted && physBaseIsWrong(m)) {
		flags = append(flags, fmt.Sprintf("-m phys_base=%#x", uint64(*k.PhysBase)))
	}
	c.Crash = strings.Join(append(append([]string{"crash"}, flags...), quote(vmlinux), quote(file)), " ")
	if target := crashTarget(m.Arch); target != "" {
		c.Remarks = append(c.Remarks, fmt.Sprintf("crash opens dumps of one architecture: for this one it is built with make target=%s, or runs on such a machine", target))
	}
	if noted {
		c.Drgn = strings.Join([]string{"drgn", "-c", quote(file), "-s", quote(vmlinux)}, " ")
	}
	return c
}

// physBaseIsWrong reports whether the machine's note and its page tables
// disagree.
func physBaseIsWrong(m *guest.Machine) bool {
	n, err := parseNote(m.Arch.Order, m.VMCoreInfo)
	if err != nil {
		return false
	}
	said, ok := n.info.Number("phys_base")
	return ok && said != *m.Kernel.PhysBase
}

// crashTarget is what crash's makefile calls an architecture whose dumps the
// crash of x86-64 machines does not open.
func crashTarget(g arch.Guest) string {
	return map[elf.Machine]string{
		elf.EM_386: "X86", elf.EM_ARM: "ARM", elf.EM_AARCH64: "ARM64", elf.EM_PPC64: "PPC64", elf.EM_S390: "S390X",
		elf.EM_RISCV: "RISCV64", elf.EM_LOONGARCH: "LOONGARCH64",
	}[g.Machine]
}

// quote is a word for a shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("%+,-./:=@_", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < 0x80
	}
	if s != "" && !strings.ContainsFunc(s, plain) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
