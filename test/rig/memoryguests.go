package rig

import "math/rand/v2"

// The guests whose memory is not all there from the start, or not QEMU's own.
var (
	// VirtioMem has two nodes, each in a memfd, and three virtio-mem devices. Of vm0, 512 MiB were plugged and taken back again,
	// but for what the guest's kernel had put where it cannot move; vm1 is plugged in part, vm2 not at all.
	VirtioMem = Config{
		Name: "virtio-mem",
		Args: []string{"-machine", "q35", "-m", "192M,maxmem=8G",
			"-object", "memory-backend-memfd,id=node0,size=96M", "-numa", "node,nodeid=0,cpus=0,memdev=node0",
			"-object", "memory-backend-memfd,id=node1,size=96M", "-numa", "node,nodeid=1,cpus=1,memdev=node1",
			"-object", "memory-backend-ram,id=shrunk,size=640M", "-device", "virtio-mem-pci,id=vm0,memdev=shrunk,node=0,requested-size=512M",
			"-object", "memory-backend-ram,id=part,size=256M", "-device", "virtio-mem-pci,id=vm1,memdev=part,node=1,requested-size=64M",
			"-object", "memory-backend-ram,id=none,size=256M", "-device", "virtio-mem-pci,id=vm2,memdev=none,node=1"},
		Drivers:  true,
		Paging:   true,
		Plugged:  map[string]uint64{"vm0": 512 << 20, "vm1": 64 << 20},
		Commands: []string{"qom-set vm0 requested-size 0"},
	}

	// VirtioMemSlots has 3 GiB of virtio-mem that are mapped by the GiB as they are plugged, which QEMU can since 8.2.
	VirtioMemSlots = Config{
		Name: "virtio-mem-slots",
		Args: []string{"-machine", "q35", "-m", "256M,maxmem=8G",
			"-object", "memory-backend-ram,id=slots,size=3G", "-device", "virtio-mem-pci,id=vm0,memdev=slots,requested-size=1280M,dynamic-memslots=on"},
		Drivers: true,
		Paging:  true,
		Plugged: map[string]uint64{"vm0": 1280 << 20},
	}

	// DIMMs has memory modules: QEMU's own memory, allocated at once; a private file that nobody wrote to, and a shared one; a
	// private file that was copied as the module was plugged in, later; and an NVDIMM.
	DIMMs = Config{
		Name: "dimms",
		Args: []string{"-S", "-machine", "q35,nvdimm=on", "-m", "64M,slots=8,maxmem=8G",
			"-object", "memory-backend-ram,id=cold,size=32M,prealloc=on", "-device", "pc-dimm,id=dimm0,memdev=cold,addr=0x100000000",
			"-device", "loader,file=loaded,addr=0x100800000,force-raw=on",
			"-object", "memory-backend-file,id=quiet,size=8M,mem-path=quiet.img,share=off", "-device", "pc-dimm,id=dimm1,memdev=quiet",
			"-object", "memory-backend-file,id=shared,size=8M,mem-path=shared.img,share=on", "-device", "pc-dimm,id=dimm2,memdev=shared",
			"-object", "memory-backend-file,id=nv,size=8M,mem-path=nv.img,share=on", "-device", "nvdimm,id=nvdimm0,memdev=nv,addr=0x140000000"},
		Bare: true,
		Files: map[string][]byte{"loaded": noise(1), "quiet.img": noise(2), "shared.img": noise(3), "hot.img": noise(4),
			"nv.img": noise(5)},
		Commands: []string{"object_add memory-backend-file,id=hot,size=8M,mem-path=hot.img,share=off,prealloc=on",
			"device_add pc-dimm,id=dimm3,memdev=hot"},
	}

	// HugePages has its memory in shared huge pages, which the kernel writes to no core unless it is told to.
	HugePages = Config{
		Name: "huge-pages",
		Args: []string{"-S", "-machine", "q35,memory-backend=ram", "-m", "64M",
			"-object", "memory-backend-memfd,id=ram,size=64M,hugetlb=on,hugetlbsize=2M", "-device", "loader,file=loaded,addr=0x1000000,force-raw=on"},
		Bare:      true,
		Files:     map[string][]byte{"loaded": noise(6)},
		HugePages: 32,
	}

	// HugePagesInCore is HugePages with the kernel told to.
	HugePagesInCore = Config{
		Name: "huge-pages-in-core",
		Args: HugePages.Args, Bare: true, Files: HugePages.Files, HugePages: HugePages.HugePages,
		CoreFilter: "0x73",
	}
)

// noise is 8 MiB of random bytes, the same in each run.
func noise(seed byte) []byte {
	p := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}
