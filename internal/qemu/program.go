package qemu

import (
	"path/filepath"
	"strings"
)

// IsProgram tells whether a process is a system emulator by the path of its
// executable, or by its name as the kernel keeps it, cut at 15 bytes:
// qemu-system-x86_64 and the rest, qemu-kvm (Red Hat), kvm (Debian and Proxmox,
// long ago), .qemu-system-x86_64-wrapped (NixOS). An emulator of single
// programs, qemu-x86_64, has no guest.
func IsProgram(name string) bool {
	name = strings.TrimPrefix(filepath.Base(strings.TrimSuffix(name, " (deleted)")), ".")
	return strings.HasPrefix(name, "qemu-system-") || strings.HasPrefix(name, "qemu-kvm") || name == "kvm"
}
