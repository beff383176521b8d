package matrix

import "guestcore/test/rig"

var armGuests = []guest{
	{name: "reset-a15", target: "arm", Config: rig.Config{
		Args: withNoise(0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
	{name: "reset-a57", target: "aarch64", Config: rig.Config{
		Args: withNoise(0x41000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
	{name: "reset-max", target: "aarch64", Config: rig.Config{ // with SVE
		Args: withNoise(0x41000000, "-machine", "virt", "-cpu", "max", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
	{name: "reset-a15", target: "aarch64", Config: rig.Config{
		Args: withNoise(0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
}
