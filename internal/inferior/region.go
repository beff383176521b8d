package inferior

import (
	"debug/elf"

	"guestcore/internal/addr"
)

// Region is one mapping as the kernel kept it. Two that touch stay apart,
// unlike the extents of [Process.Mappings], which join.
type Region struct {
	Start, End addr.HVA
	Prot       elf.ProgFlag
}

// Regioner is a Process that knows its regions. It is optional: without it
// /proc/PID/maps is made of Mappings and Protection.
type Regioner interface {
	// Regions lists them in the order of address, none overlapping. The
	// slice is the process's own.
	Regions() []Region
}
