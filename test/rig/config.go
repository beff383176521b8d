package rig

// Config is a guest: the machine, its memory and what it boots.
type Config struct {
	Name string
	Args []string

	// RAMFile is the backing file of the guest's memory, relative to the fixture; "" if it has none.
	RAMFile string

	// Windows are ranges of guest memory of which QEMU makes a dump of their own each.
	Windows []Window

	// Bare starts no Linux. What runs is in Args; with -S among them nothing does.
	Bare bool

	// Paging has QEMU also make its dumps, of all memory and of each window, with paging=true.
	Paging bool

	// NoVMCoreInfo leaves out the device that the guest's kernel hands its VMCOREINFO note to. Only x86 and Arm machines can
	// have one.
	NoVMCoreInfo bool

	// Dumps are formats of QEMU's own dump to take beside the ELF one.
	Dumps []string

	// Refused are formats in which QEMU is to refuse to dump the guest. Fixture.Refusal is what it says.
	Refused []string

	// SMP is what follows -smp, "" for two vCPUs.
	SMP string

	// Files are written to the folder that QEMU starts in, for Args to name.
	Files map[string][]byte

	// Ready are words of memory that must have a value before the guest is stopped; the program of a Bare guest writes them.
	Ready []Word

	// Says is what the guest prints on its console before it is stopped, if it is Bare.
	Says string

	// Running leaves the guest running when its QEMU is killed, and but for QEMU's own dump before.
	Running bool

	// HugePages is how many huge pages of 2 MiB QEMU needs.
	HugePages int

	// CoreFilter is what QEMU's coredump_filter is set to, "" for the kernel's default.
	CoreFilter string

	// Drivers has the guest load the drivers of virtio-mem.
	Drivers bool

	// Commands are lines for QEMU's monitor, HMP, before the guest is stopped.
	Commands []string

	// Plugged is how much memory each virtio-mem device has to have plugged before Commands, in bytes, by the device's id. The
	// guest is stopped when that changes no more.
	Plugged map[string]uint64

	// Saved are ranges of guest memory that QEMU writes to files, for Fixture.Saved. Unless there are some, QEMU must be able
	// to dump the guest.
	Saved []Window
}

// Word is 32 bits of guest memory: the guest-physical address, and the value in the byte order of the emulator's target.
type Word struct {
	Addr  uint64
	Value uint32
}

// Window is a range of guest-physical addresses: the first, and the number of bytes.
type Window struct{ Begin, Length uint64 }

// The guests of the tests. All run under TCG.
var (
	// PC is the i440FX machine, 1 GiB: RAM from 0, ROM below 4 GiB.
	PC = Config{
		Name: "pc",
		Args: []string{"-machine", "pc", "-m", "1G"},
	}

	// Q35 has 5 GiB: 2 GiB from 0, 3 GiB from 4 GiB.
	Q35 = Config{
		Name: "q35-5g",
		Args: []string{"-machine", "q35", "-m", "5G"},
	}

	// KDump is PC with less memory and QEMU's own kdump files, which need a QEMU built with all compressions: DebugQEMU.
	KDump = Config{
		Name:  "pc-kdump",
		Args:  []string{"-machine", "pc", "-m", "512M"},
		Dumps: []string{"kdump-zlib", "kdump-lzo", "kdump-snappy"},
	}

	// NUMA has two nodes of 512 MiB, each in a memfd of its own.
	NUMA = Config{
		Name: "numa-memfd",
		Args: []string{"-machine", "pc", "-m", "1G",
			"-object", "memory-backend-memfd,id=node0,size=512M",
			"-object", "memory-backend-memfd,id=node1,size=512M",
			"-numa", "node,nodeid=0,cpus=0,memdev=node0",
			"-numa", "node,nodeid=1,cpus=1,memdev=node1"},
	}

	// SharedFile has its RAM in a file that QEMU maps shared, so the core does not hold it.
	SharedFile = Config{
		Name: "shared-file",
		Args: []string{"-machine", "pc,memory-backend=ram", "-m", "256M",
			"-object", "memory-backend-file,id=ram,size=256M,mem-path=ram.img,share=on"},
		RAMFile: "ram.img",
	}

	// NoDump is started with dump-guest-core=off: QEMU tells the kernel to leave its RAM out of the core.
	NoDump = Config{
		Name: "dump-guest-core-off",
		Args: []string{"-machine", "pc,dump-guest-core=off", "-m", "256M"},
	}

	// Windows has QEMU also dump parts of its memory: within a range, over one's ends, all of it and more, ROM.
	Windows = Config{
		Name:    "windows",
		Args:    []string{"-machine", "pc", "-m", "256M"},
		Windows: []Window{{0x1000000, 0x800000}, {0xf800000, 0x1000000}, {0xffff0000, 0x100000}, {0x123457, 0x54321}, {0, 1 << 40}},
	}

	// Paging is a guest of which QEMU also wrote dumps with paging, and it has no vmcoreinfo device.
	Paging = Config{
		Name:         "pc-paging",
		Args:         []string{"-machine", "pc", "-m", "1G"},
		Windows:      []Window{{0x1000000, 0x800000}, {0x123457, 0x54321}},
		Paging:       true,
		NoVMCoreInfo: true,
	}

	// Paging5 is Paging with page tables of five levels.
	Paging5 = Config{
		Name:         "pc-paging-la57",
		Args:         []string{"-machine", "pc", "-m", "256M", "-cpu", "qemu64,+la57"},
		Paging:       true,
		NoVMCoreInfo: true,
	}

	// Bare never ran: its RAM is untouched but for what QEMU loads, so the core has next to nothing of it.
	Bare = Config{
		Name: "bare",
		Args: []string{"-machine", "pc", "-m", "1G", "-S"},
		Bare: true,
	}

	// Small is Bare with 32 MiB, for tests that have to read every byte of the core.
	Small = Config{
		Name: "bare-32m",
		Args: []string{"-machine", "pc", "-m", "32M", "-S"},
		Bare: true,
	}
)
