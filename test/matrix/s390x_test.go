package matrix

import "guestcore/test/rig"

var s390xGuests = []guest{
	reset("reset", "s390x", 0x200000, "-machine", "s390-ccw-virtio", "-m", "64M"),
	running("registers", "s390x", rig.S390XProgram()),
}
