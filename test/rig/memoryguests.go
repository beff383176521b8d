package rig

import "math/rand/v2"

// The guests whose memory is not all there from the start, or not QEMU's own.
var (
	// VirtioMem has three virtio-mem devices. Of vm0, 512 MiB were plugged, used and taken back again, but for what the guest's
	// kernel could not move; vm1 is plugged in part, vm2 not at all. The boot memory is a memfd and a private file.
	VirtioMem = Config{
		Name:     "virtio-mem",
		Args:     append([]string{"-device", "virtio-mem-pci,id=vm1,memdev=part,node=1,requested-size=256M"}, virtioMemArgs...),
		Drivers:  true,
		Plugged:  map[string]uint64{"vm0": 512 << 20, "vm1": 256 << 20},
		Commands: []string{"qom-set vm0 requested-size 0"},
	}

	// VirtioMemSlots is VirtioMem with vm1 mapped piece by piece (QEMU 8.2).
	VirtioMemSlots = Config{
		Name:     "virtio-mem-slots",
		Args:     append([]string{"-device", "virtio-mem-pci,id=vm1,memdev=part,node=1,requested-size=256M,dynamic-memslots=on"}, virtioMemArgs...),
		Drivers:  true,
		Plugged:  map[string]uint64{"vm0": 512 << 20, "vm1": 256 << 20},
		Commands: []string{"qom-set vm0 requested-size 0"},
	}

	// DIMMs has memory modules that QEMU started with, one that was plugged in later, and an NVDIMM in a shared file.
	DIMMs = Config{
		Name: "dimms",
		Args: []string{"-S", "-machine", "q35,nvdimm=on", "-m", "64M,slots=4,maxmem=8G",
			"-object", "memory-backend-ram,id=cold,size=32M,prealloc=on", "-device", "pc-dimm,id=dimm0,memdev=cold,addr=0x100000000",
			"-device", "loader,file=loaded,addr=0x100800000,force-raw=on",
			"-object", "memory-backend-file,id=nv,size=8M,mem-path=nv.img,share=on", "-device", "nvdimm,id=nvdimm0,memdev=nv"},
		Bare:  true,
		Files: map[string][]byte{"loaded": noise(4 << 20), "hot.img": noise(8 << 20), "nv.img": noise(8 << 20)},
		Commands: []string{"object_add memory-backend-file,id=hot,size=8M,mem-path=hot.img,share=off,prealloc=on",
			"device_add pc-dimm,id=dimm1,memdev=hot"},
	}
)

// noise is n bytes of which none is like the others.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n >> 20)}).Read(p)
	return p
}

var virtioMemArgs = []string{"-machine", "q35", "-m", "512M,maxmem=8G",
	"-object", "memory-backend-memfd,id=node0,size=256M",
	"-object", "memory-backend-file,id=node1,size=256M,mem-path=node1.img,share=off",
	"-numa", "node,nodeid=0,cpus=0,memdev=node0", "-numa", "node,nodeid=1,cpus=1,memdev=node1",
	"-object", "memory-backend-ram,id=shrunk,size=1G", "-device", "virtio-mem-pci,id=vm0,memdev=shrunk,node=0,requested-size=512M",
	"-object", "memory-backend-memfd,id=part,size=1G",
	"-object", "memory-backend-ram,id=none,size=1G", "-device", "virtio-mem-pci,id=vm2,memdev=none,node=1"}
