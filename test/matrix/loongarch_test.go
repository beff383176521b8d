package matrix

import "guestcore/test/rig"

const noLoongArch = "it has no loongarch64"

var loongarchGuests = []guest{
	without(reset("reset", "loongarch64", 0x1000000, "-machine", "virt", "-m", "64M"),
		map[rig.Build]string{rig.Stock: "QEMU 7.2 cannot dump it: the next row", rig.Bullseye: noLoongArch, rig.Dwarf: noLoongArch}),
	without(saved(reset("reset-saved", "loongarch64", 0x1000000, "-machine", "virt", "-m", "1025M"),
		// 7.2 wants more than 1 GiB, of which 256 MiB are at 0.
		rig.Window{Begin: 0, Length: 256 << 20}, rig.Window{Begin: 0x90000000, Length: 769 << 20}),
		map[rig.Build]string{rig.Bullseye: noLoongArch, rig.Dwarf: noLoongArch, rig.Trixie: dumped, rig.Sid: dumped}),
	without(running("registers", "loongarch64", rig.LoongArchProgram()),
		map[rig.Build]string{rig.Stock: "QEMU 7.2 cannot dump it", rig.Bullseye: noLoongArch, rig.Dwarf: noLoongArch}),
}
