package dump

import (
	"fmt"
	"slices"
	"strings"
)

// Sparse says which zeros of memory become holes of the file. Blocks that the
// file system shares are shared whatever is in them: they take no room.
type Sparse int

const (
	// SparseAuto keeps the source's holes and makes a hole of every long
	// enough run of zero pages that passes through our hands.
	SparseAuto Sparse = iota
	// SparseAlways reads all that is copied and makes every zero page a hole.
	SparseAlways
	// SparseNever allocates all of the file.
	SparseNever
)

// whenNames are those of Sparse and of Scan.
var whenNames = []string{"auto", "always", "never"}

func (s Sparse) String() string { return whenNames[s] }

// Set takes the name of a choice, as a flag does.
func (s *Sparse) Set(name string) error { return set(s, name, whenNames) }

// Direct says whether data is written around the page cache.
type Direct int

const (
	// DirectAuto does so for long runs of large dumps, on a disk.
	DirectAuto Direct = iota
	// DirectOn does so wherever the file system lets it.
	DirectOn
	// DirectOff never does.
	DirectOff
)

var directNames = []string{"auto", "on", "off"}

func (d Direct) String() string { return directNames[d] }

// Set takes the name of a choice, as a flag does.
func (d *Direct) Set(name string) error { return set(d, name, directNames) }

// Scan says whether guest memory is searched for the VMCOREINFO of the kernel,
// which may take reading all of it, where none was handed over that is right.
type Scan int

const (
	// ScanAuto does so unless the guest runs another system.
	ScanAuto Scan = iota
	// ScanAlways does so whatever the guest seems to run.
	ScanAlways
	// ScanNever never does.
	ScanNever
)

func (s Scan) String() string { return whenNames[s] }

// Set takes the name of a choice, as a flag does.
func (s *Scan) Set(name string) error { return set(s, name, whenNames) }

func set[T ~int](v *T, name string, names []string) error {
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Errorf("%q is none of %s", name, strings.Join(names, ", "))
	}
	*v = T(i)
	return nil
}
