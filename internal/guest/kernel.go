package guest

import "guestcore/internal/addr"

// Kernel is what is known of the guest's kernel. Fields are nil or empty where
// that is nothing.
type Kernel struct {
	System  string `json:"system,omitempty"`  // "Linux" or "Windows"
	Release string `json:"release,omitempty"` // as uname -r says it; of Windows its version or build
	BuildID string `json:"build_id,omitempty"`
	// Note is where the kernel's VMCOREINFO note came from, for people.
	Note     string    `json:"vmcoreinfo,omitempty"`
	NoteAddr *addr.GPA `json:"vmcoreinfo_addr,omitempty"`
	// Confirmed are the vCPUs whose page tables have the kernel that the note
	// tells of.
	Confirmed []int `json:"confirmed_by_vcpus,omitempty"`
	// Offset is how far from where it was linked the kernel runs, bytes.
	Offset *uint64 `json:"kernel_offset,omitempty"`
	// PhysBase is what x86-64 kernels call phys_base: the physical address that
	// virtual 0xffffffff80000000 would have, as page tables have it or, without
	// those, as the note says it.
	PhysBase *int64 `json:"phys_base,omitempty"`
	// Remarks are what else the user should know, a sentence each.
	Remarks []string `json:"remarks,omitempty"`
}
