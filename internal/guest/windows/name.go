package windows

import (
	"cmp"
	"fmt"

	"guestcore/internal/guest"
)

// Name sets what m.Kernel says of a guest that a Windows dump's header tells
// of: one that the guest's driver handed over, or that of the dump which the
// machine comes out of. Another guest's stays as it is.
func Name(m *guest.Machine) {
	if w := m.Windows; w != nil {
		if h, err := ParseHeader(w.Header); err == nil {
			m.Kernel.System, m.Kernel.Release = "Windows", h.build()
		}
		return
	}
	h, err := FromNote(m.VMCoreInfo)
	if err != nil {
		return
	}
	m.Kernel.System, m.Kernel.Release = "Windows", h.build()
	m.Kernel.Note = "the header of a Windows crash dump, in " + cmp.Or(m.NotedIn, "the vmcoreinfo device")
	m.Kernel.Remarks = append(m.Kernel.Remarks, forWinDbg)
}

// build is "build 7601": the kernel's version is what the number tells.
func (h Header) build() string { return fmt.Sprintf("build %d", h.Uint(MinorVersion)) }
