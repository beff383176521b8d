package matrix

import (
	"fmt"
	"math/rand/v2"
)

// noise is what fills some of a guest's memory: random, and the same in each run.
var noise = func() []byte {
	b := make([]byte, 192<<10)
	rand.NewChaCha8([32]byte{'n', 'o', 'i', 's', 'e'}).Read(b)
	return b
}()

// files are those of a guest that has noise in its memory: withNoise puts it there.
var files = map[string][]byte{"noise": noise}

// withNoise returns QEMU's arguments for a machine with noise at a guest-physical address.
func withNoise(addr uint64, args ...string) []string {
	return append(args, "-device", fmt.Sprintf("loader,file=noise,addr=%#x,force-raw=on", addr))
}
