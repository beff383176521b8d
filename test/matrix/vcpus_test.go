package matrix

// vcpuGuests differ in how many vCPUs they have. Of all other guests there are two, the second one halted or waiting.
var vcpuGuests = []guest{
	smp("4", reset("four", "x86_64", 0x200000, "-machine", "pc", "-m", "64M")),
	smp("4", reset("four", "aarch64", 0x41000000, "-machine", "virt", "-cpu", "cortex-a57", "-m", "64M")),

	// The vCPU plugged in is not the next one: between its number and the first one's are some that are not there.
	plugged("qemu64-x86_64-cpu,socket-id=3,core-id=0,thread-id=0",
		smp("1,maxcpus=4,sockets=4", reset("plugged", "x86_64", 0x200000, "-machine", "q35", "-cpu", "qemu64", "-m", "64M"))),
	plugged("qemu-s390x-cpu,core-id=3",
		smp("1,maxcpus=4", reset("plugged", "s390x", 0x200000, "-machine", "s390-ccw-virtio", "-cpu", "qemu", "-m", "64M"))),
	plugged("power9_v2.0-spapr-cpu-core,core-id=3",
		smp("1,maxcpus=4", reset("plugged", "ppc64", 0x8000000, "-machine", "pseries", "-cpu", "power9_v2.0", "-m", "256M"))),
}

// smp is the guest g with other vCPUs, as QEMU's -smp takes them.
func smp(cpus string, g guest) guest {
	g.SMP = cpus
	return g
}

// plugged is the guest g with a device plugged in while it is there.
func plugged(device string, g guest) guest {
	g.Commands = []string{"device_add " + device}
	return g
}
