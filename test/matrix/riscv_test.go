package matrix

var riscvGuests = []guest{
	reset("reset", "riscv64", 0x81000000, "-machine", "virt", "-bios", "none", "-m", "64M"),
}
