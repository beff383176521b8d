package inferior

// Entries of the auxiliary vector, as the kernel numbers them
// (include/uapi/linux/auxvec.h).
const (
	AT_PHDR   = 3  // the program's headers, in memory
	AT_PAGESZ = 6  // size of a page, bytes
	AT_ENTRY  = 9  // where the program begins
	AT_EXECFN = 31 // its name as given to execve
)

// AuxValue finds an entry of a process's auxiliary vector.
func AuxValue(p Process, entry uint64) (value uint64, ok bool) {
	host, auxv := p.Host(), p.Auxv()
	size := host.PointerSize()
	word := func(b []byte) uint64 {
		if size == 4 {
			return uint64(host.Order.Uint32(b))
		}
		return host.Order.Uint64(b)
	}
	for len(auxv) >= 2*size {
		if word(auxv) == entry {
			return word(auxv[size:]), true
		}
		auxv = auxv[2*size:]
	}
	return 0, false
}
