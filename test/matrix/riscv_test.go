package matrix

import "guestcore/test/rig"

var riscvGuests = []guest{
	{name: "reset", target: "riscv64", Config: rig.Config{
		Args: withNoise(0x81000000, "-machine", "virt", "-bios", "none", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
}
