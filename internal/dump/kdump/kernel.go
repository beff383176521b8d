package kdump

import (
	"debug/elf"
	"strconv"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
)

// Blocks that are believed, bytes: pages of 4 KiB to 64 KiB are what kernels
// have.
const (
	minBlock = 4 << 10
	maxBlock = 64 << 10
)

// blockSize is the size of a page of the guest's kernel, in bytes, as the
// kernel says it. Without that it is what QEMU takes: the largest a kernel of
// the architecture may have, as smaller pages fill larger blocks.
func blockSize(g arch.Guest, info linux.Info) int64 {
	n, err := strconv.ParseInt(info["PAGESIZE"], 10, 64)
	if err == nil && n >= minBlock && n <= maxBlock && n&(n-1) == 0 {
		return n
	}
	switch g.Machine {
	case elf.EM_AARCH64, elf.EM_PPC64:
		return maxBlock
	}
	return minBlock
}

// physBase is the guest-physical address of the kernel's first byte, for
// architectures whose readers ask for it: on x86-64 as page tables have it or
// the kernel says it, possibly negative; on Arm the beginning of RAM.
func physBase(m *guest.Machine, info linux.Info, c *dump.Content) uint64 {
	switch m.Arch.Machine {
	case elf.EM_X86_64:
		if m.HeaderPhysBase != nil {
			return uint64(*m.HeaderPhysBase)
		}
		if m.Kernel != nil && m.Kernel.PhysBase != nil {
			return uint64(*m.Kernel.PhysBase)
		}
		n, _ := info.Number("phys_base")
		return uint64(n)
	case elf.EM_AARCH64, elf.EM_ARM:
		if n, ok := info.Number("PHYS_OFFSET"); ok && m.Arch.Machine == elf.EM_AARCH64 {
			return uint64(n)
		}
		for _, r := range c.Ranges {
			if !r.ROM {
				return uint64(r.Addr)
			}
		}
	}
	return 0
}

// machines are what uname -m says, by architecture.
var machines = map[string]string{
	"aarch64-be": "aarch64_be", "aarch64-le": "aarch64", "X86_64": "x86_64", "386": "i686",
	"s390": "s390x", "ppc64-be": "ppc64", "ppc64-le": "ppc64le",
	"arm": "armv7l", "arm-be": "armv7b", "riscv64": "riscv64", "riscv32": "riscv32", "loongarch64": "loongarch64",
}

// utsname is what uname -a says: system, node, release, version, machine and
// domain. A kernel that left a VMCOREINFO is Linux and gives its release; the
// version has to be some text for readers to go on.
func utsname(g arch.Guest, info linux.Info) [6]string {
	u := [6]string{4: machines[g.Name]}
	if release := info.Release(); release != "" {
		u[0], u[1], u[2], u[3], u[5] = "Linux", "(none)", release, "unknown", "(none)"
	}
	return u
}
