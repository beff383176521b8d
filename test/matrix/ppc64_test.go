package matrix

import "guestcore/test/rig"

var ppc64Guests = []guest{
	reset("reset", "ppc64", 0x8000000, "-machine", "pseries", "-m", "256M"), // it gives out memory by 256 MiB
	running("registers-be", "ppc64", rig.PPC64Program(false)),
	running("registers-le", "ppc64", rig.PPC64Program(true)),
}
