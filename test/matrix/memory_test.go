package matrix

// memoryGuests have memory of other kinds than one anonymous block. The noise lies in the second node, so that a private mapping of a
// file is in the core.
var memoryGuests = []guest{
	nodes("32M", reset("numa", "aarch64", 0x42000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M")),
	without(nodes("32M", reset("numa", "riscv64", 0x82000000, "-machine", "virt", "-bios", "none", "-m", "64M")), noRISCVDump),
	nodes("256M", reset("numa", "ppc64", 0x18000000, "-machine", "pseries", "-m", "512M")),
	nodes("32M", reset("numa", "i386", 0x2000000, "-machine", "q35", "-m", "64M")),
	reset("memfd", "s390x", 0x200000, "-machine", "s390-ccw-virtio,memory-backend=ram", "-m", "64M",
		"-object", "memory-backend-memfd,id=ram,size=64M"),

	// The machine takes DIMMs only if it has firmware, which here may be anything.
	reset("dimm", "aarch64", 0x80000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M,slots=2,maxmem=1G", "-bios", "noise",
		"-object", "memory-backend-ram,id=more,size=64M,prealloc=on", "-device", "pc-dimm,memdev=more,addr=0x80000000"),
	reset("dimm", "ppc64", 0x40000000, "-machine", "pseries", "-m", "1G,slots=2,maxmem=4G",
		"-object", "memory-backend-ram,id=more,size=256M", "-device", "pc-dimm,memdev=more,addr=0x40000000"),
}

// nodes is the guest g with its memory in two NUMA nodes of one size, a memfd and a file.
func nodes(size string, g guest) guest {
	g.Args = append(g.Args,
		"-object", "memory-backend-memfd,id=node0,size="+size, "-numa", "node,memdev=node0",
		"-object", "memory-backend-file,id=node1,share=off,mem-path=node1.img,size="+size, "-numa", "node,memdev=node1")
	return g
}
