package dumptest

import "runtime"

// Allocated is how many bytes f allocates, in all: a reader is to need no more
// for a file than that is worth.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
