package matrix

import "guestcore/test/rig"

const noLoongArch = "scripts/build-qemu builds no loongarch64"

var loongarchGuests = []guest{
	{name: "reset", target: "loongarch64",
		Config: rig.Config{
			Args: withNoise(0x1000000, "-machine", "virt", "-m", "64M", "-S"), Files: files, NoVMCoreInfo: true,
		},
		without: map[rig.Build]string{rig.Stock: "QEMU 7.2 cannot dump it: the next row", rig.Dwarf: noLoongArch},
	},
	{name: "reset-saved", target: "loongarch64", // 7.2 wants 1 GiB, of which 256 MiB are at 0
		Config: rig.Config{
			Args: withNoise(0x1000000, "-machine", "virt", "-m", "1025M", "-S"), Files: files, NoVMCoreInfo: true,
			Saved: []rig.Window{{Begin: 0, Length: 256 << 20}, {Begin: 0x90000000, Length: 769 << 20}},
		},
		without: map[rig.Build]string{rig.Dwarf: noLoongArch, rig.Trixie: "the row before", rig.Sid: "the row before"},
	},
}
