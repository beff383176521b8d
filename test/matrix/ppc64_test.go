package matrix

import "guestcore/test/rig"

var ppc64Guests = []guest{
	{name: "reset", target: "ppc64", Config: rig.Config{ // pseries gives out memory by 256 MiB
		Args: withNoise(0x8000000, "-machine", "pseries", "-m", "256M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
}
