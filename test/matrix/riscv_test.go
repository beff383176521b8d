package matrix

import "guestcore/test/rig"

var riscvGuests = []guest{
	without(reset("reset", "riscv64", 0x81000000, "-machine", "virt", "-bios", "none", "-m", "64M"), noRISCVDump),
	without(running("registers", "riscv64", rig.RISCVProgram("riscv64")), noRISCVDump),
	without(saved(reset("reset-saved", "riscv64", 0x81000000, "-machine", "virt", "-bios", "none", "-m", "64M"),
		rig.Window{Begin: 0x80000000, Length: 64 << 20}),
		map[rig.Build]string{rig.Stock: dumped, rig.Dwarf: dumped, rig.Trixie: dumped, rig.Sid: dumped}),
}

const dumped = "QEMU can dump it, in the row of the same name"

var noRISCVDump = map[rig.Build]string{rig.Bullseye: "QEMU 5.2 cannot dump it; the row that is saved shows the memory"}
