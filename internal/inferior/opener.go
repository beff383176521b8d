package inferior

import "os"

// Opener is a Process that can open the files it had mapped. It is optional.
type Opener interface {
	// OpenMapped opens the file of a mapping by its Path, if the file on this
	// machine is still the one that was mapped. The file stays the process's
	// own: nobody else closes it.
	OpenMapped(path string) (*os.File, error)
}
