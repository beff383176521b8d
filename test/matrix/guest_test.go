package matrix

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"guestcore/test/rig"
)

// guest is a machine and what runs in it.
type guest struct {
	name   string // unique among those of the target
	target string // of the emulator
	rig.Config

	// without are builds that cannot run it, each with the reason.
	without map[rig.Build]string
}

// reset is a machine stopped before its first instruction, with noise at a guest-physical address.
func reset(name, target string, addr uint64, machine ...string) guest {
	loader := fmt.Sprintf("loader,file=noise,addr=%#x,force-raw=on", addr)
	return guest{name: name, target: target, Config: rig.Config{
		Args:         append(slices.Clip(machine), "-device", loader, "-S"),
		Files:        map[string][]byte{"noise": noise},
		NoVMCoreInfo: true,
	}}
}

// running is a machine stopped in the last loop of a program.
func running(name, target string, p rig.Program) guest {
	return guest{name: name, target: target, Config: rig.Config{
		Args:         p.Args,
		Files:        map[string][]byte{p.File: p.Image},
		Ready:        []rig.Word{{Addr: p.Done, Value: p.DoneValue}},
		NoVMCoreInfo: true,
	}}
}

// without is the guest g, but not in some builds.
func without(g guest, builds map[rig.Build]string) guest {
	g.without = builds
	return g
}

// saved is the guest g with ranges of memory that QEMU saves.
func saved(g guest, ranges ...rig.Window) guest {
	g.Saved = ranges
	return g
}

// noise is what fills some of a guest's memory: random, and the same in each run.
var noise = func() []byte {
	b := make([]byte, 192<<10)
	rand.NewChaCha8([32]byte{'n', 'o', 'i', 's', 'e'}).Read(b)
	return b
}()
