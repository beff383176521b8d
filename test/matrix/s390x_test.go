package matrix

import "guestcore/test/rig"

var s390xGuests = []guest{
	{name: "reset", target: "s390x", Config: rig.Config{
		Args: withNoise(0x200000, "-machine", "s390-ccw-virtio", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
	}},
}
