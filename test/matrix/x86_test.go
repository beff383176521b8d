package matrix

import "guestcore/test/rig"

var x86Guests = []guest{
	paging(running("registers", "x86_64", rig.X86Program())),
	paging(running("registers-32", "x86_64", rig.X86Program32())),
	paging(running("registers-32", "i386", rig.X86Program32())),
	reset("reset-pc", "x86_64", 0x200000, "-machine", "pc", "-m", "64M"),
	reset("reset-q35", "x86_64", 0x200000, "-machine", "q35", "-m", "64M"),
	reset("reset-pc", "i386", 0x200000, "-machine", "pc", "-m", "64M"),
}

// paging is the guest g, of which QEMU also makes a dump with the virtual addresses. It does so for x86 only.
func paging(g guest) guest {
	g.Paging = true
	return g
}
