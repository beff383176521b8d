package matrix

import "guestcore/test/rig"

var x86Guests = []guest{
	{name: "reset-pc", target: "x86_64", Config: rig.Config{
		Args: withNoise(0x200000, "-machine", "pc", "-m", "64M", "-S"), Files: files,
	}},
	{name: "reset-q35", target: "x86_64", Config: rig.Config{
		Args: withNoise(0x200000, "-machine", "q35", "-m", "64M", "-S"), Files: files,
	}},
	{name: "reset-pc", target: "i386", Config: rig.Config{
		Args: withNoise(0x200000, "-machine", "pc", "-m", "64M", "-S"), Files: files,
	}},
}
