package matrix

var armGuests = []guest{
	reset("reset-a15", "arm", 0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M"),
	reset("reset-a57", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M"),
	reset("reset-max", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "max", "-m", "64M"), // has SVE
	reset("reset-a15", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M"),
}
