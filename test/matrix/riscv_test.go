package matrix

import "guestcore/test/rig"

var riscvGuests = []guest{
	reset("reset", "riscv64", 0x81000000, "-machine", "virt", "-bios", "none", "-m", "64M"),
	running("registers", "riscv64", rig.RISCVProgram("riscv64")),
}
