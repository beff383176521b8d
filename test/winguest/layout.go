package winguest

// Offsets in the kernel's image. Its pages are noise where nothing is said.
const (
	rvaExecutable = 0x1000
	rvaIdle       = 0x1800 // 0x40 bytes for each processor
	rvaCopy       = 0x2000 // KdCopyDataBlock
	rvaFalseTag   = 0x2800 // a number that reads KDBG
	rvaFalseImage = 0x3000 // a page that begins as an image does
	rvaHandlers   = 0x4000 // of interrupts, 16 bytes each
	rvaSyscall    = 0x5040
	rvaDiscarded  = 0x6000 // pages that were given back when the kernel had started
	rvaData       = 0x8000
	rvaVersion    = 0x8040
	rvaKDBG       = 0x80f0
	rvaLists      = 0x8800
	rvaBlock      = 0x8900 // KiProcessorBlock
	rvaBugcheck   = 0x8a00
	rvaVariables  = 0x8b00
	rvaBuildLab   = 0x8c00
	rvaPCR        = 0x8d00  // of the first processor; its CONTEXT crosses the end of a page
	rvaRead       = 0x11000 // what is only read: exports, the debug directory
	imageSize     = 0x12000
)

// Offsets in the processor's control region and block, and in threads and processes: of Windows 7, some rounded.
type offsets struct {
	self, current, idt, gdt, version, block                                    uint64 // of the region
	thread, idleThread, number, state, context, pcrSize, prcbSize, kernelTable uint64 // of the block
	process, table, links, name                                                uint64 // of a thread; of a process
}

func (k Kind) offsets() offsets {
	if k.Wide {
		return offsets{0x18, 0x20, 0x38, 0, 0x108, 0x180, 8, 0x18, 0x24, 0x120, 0x2e18, 0x4e80, 0x4d00, 0x6e80, 0x70, 0x28, 0x188, 0x2e0}
	}
	return offsets{0x1c, 0x20, 0x38, 0x3c, 0x34, 0x120, 4, 0xc, 0x3cc, 0x18, 0x1968, 0x3748, 0x3628, 0, 0x50, 0x18, 0xb8, 0x16c}
}

func layout(k Kind) Layout {
	l := Layout{
		Kernel: pick[uint64](k, 0xfffff800_02a50000, 0x82a1d000),
		IDT:    pick[uint64](k, 0xfffff800_00b95000, 0x80b95000),
		Shared: pick[uint64](k, 0xfffff780_00000000, 0xffdf0000),
	}
	page := l.IDT + 2*pageSize
	for i := range l.GDT {
		l.GDT[i] = page + uint64(i)*0x800
		l.Stack[i] = pick[uint64](k, 0xfffff800_00b9c000, 0x8078b000) + uint64(i)*0x9000
		l.Idle[i] = l.Kernel + rvaIdle + uint64(i)*0x40
	}
	l.PCR = [CPUs]uint64{l.Kernel + rvaPCR, pick[uint64](k, 0xfffff880_009e5000, 0x807c9000)}
	o := k.offsets()
	for i, pcr := range l.PCR {
		l.PRCB[i] = pcr + o.block
		l.Context[i] = l.PRCB[i] + o.state
	}
	l.Syscall = l.Kernel + rvaSyscall
	l.KDBG, l.KdVersionBlock = l.Kernel+rvaKDBG, l.Kernel+rvaVersion
	l.DriverKDBG = l.pool(k) + 0xd60
	l.PsLoadedModuleList, l.PsActiveProcessHead = l.Kernel+rvaLists, l.Kernel+rvaLists+0x20
	l.KiProcessorBlock, l.KiBugcheckData = l.Kernel+rvaBlock, l.Kernel+rvaBugcheck
	v := l.Kernel + rvaVariables
	l.MmPfnDatabase, l.MmPhysicalMemoryBlock, l.PsInitialSystemProcess = v, v+0x10, v+0x20
	l.KiWaitNever, l.KiWaitAlways, l.KdpDataBlockEncoded = v+0x30, v+0x38, v+0x44
	l.NtBuild_ = l.Kernel + rvaBuildLab
	l.MemoryDescriptor = l.pool(k) + 0x40
	return l
}

const poolPages = 6

// pool is where the kernel allocated what is not in its image.
func (Layout) pool(k Kind) uint64 { return pick[uint64](k, 0xfffffa80_00c9a000, 0x84a0a000) }

// hal is the image of another module, which some handlers of interrupts are in.
func (Layout) hal(k Kind) uint64 { return pick[uint64](k, 0xfffff800_02a07000, 0x82e2d000) }

// mapAll gives memory to all that has an address.
func (g *Guest) mapAll() {
	k := g.Kind
	g.Map(g.Kernel, imageSize)
	g.Map(g.hal(k), 2*pageSize)
	g.Map(g.IDT, 3*pageSize)
	g.Map(g.pool(k), poolPages*pageSize)
	g.Map(g.Shared, pageSize)
	for i := range CPUs {
		g.Map(g.Stack[i]-pageSize, pageSize)
	}
	size := k.offsets().block + k.offsets().prcbSize
	g.Map(g.PCR[1], max(size, 0x8000)) // with what a kernel with two sets of page tables has behind it
	for _, page := range []uint64{0, pageSize} {
		g.Unmap(g.Kernel + rvaDiscarded + page)
	}
}
