// Command cgo_ext is the shared library libguestcore.so: guestcore for gdb,
// which loads it with jit-reader-load, and for C programs, by guestcore.h.
//
// It translates between C and Go and does nothing else: packages ingdb and
// capi do the work.
package main

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"

	"guestcore/internal/ingdb"
)

func main() {}

// guestcoreStartInGDB starts the server inside gdb, and reports whether it
// runs.
//
//export guestcoreStartInGDB
func guestcoreStartInGDB() (ok C.int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "guestcore: panic: %v\n", p)
			ok = 0
		}
	}()
	if err := ingdb.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		return 0
	}
	return 1
}
