package matrix

import "guestcore/test/rig"

var armGuests = []guest{
	reset("reset-a15", "arm", 0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M"),
	reset("reset-a57", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M"),
	reset("reset-max", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "max", "-m", "64M"), // has SVE
	reset("reset-a15", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "cortex-a15", "-m", "64M"),
	without(reset("reset-m3", "arm", 0x20000000, "-machine", "lm3s6965evb", "-smp", "1"), noBoards), // has RAM of its own, whatever -m is
	running("registers", "arm", rig.ARMProgram(false)),
	running("registers-be", "arm", rig.ARMProgram(true)),
	without(running("registers-max", "aarch64", rig.AArch64Program(false)), noMax), // has SVE
	without(running("registers-max-be", "aarch64", rig.AArch64Program(true)), noMax),
	running("registers-a57", "aarch64", rig.CortexA57Program()),
	running("registers-a57-32", "aarch64", rig.AArch32Program()), // runs a program of 32 bits
	running("registers-a15", "aarch64", rig.ARMProgram(false)),
}

var noMax = map[rig.Build]string{rig.Bullseye: "the processor max of QEMU 5.2 does not know all instructions of the program"}

var noBoards = map[rig.Build]string{rig.Dwarf: "it is built with the machine virt alone"}
