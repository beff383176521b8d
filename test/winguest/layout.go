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

// offsets are in the processor's control region (PCR) and control block (PRCB), and in threads and processes: of Windows 7, some
// rounded.
type offsets struct {
	// Of the region. The block is in it.
	self, current, idt, gdt, version, block, pcrSize uint64
	// Of the block: the CONTEXT itself, and a pointer to it.
	thread, idleThread, number, state, context, prcbSize uint64
	process                                              uint64 // of a thread
	table, links, name                                   uint64 // of a process
}

func (k Kind) offsets() offsets {
	if k.Wide {
		return offsets{
			self: 0x18, current: 0x20, idt: 0x38, gdt: 0, version: 0x108, block: 0x180, pcrSize: 0x4e80,
			thread: 8, idleThread: 0x18, number: 0x24, state: 0x120, context: 0x2e18, prcbSize: 0x4d00,
			process: 0x70, table: 0x28, links: 0x188, name: 0x2e0,
		}
	}
	return offsets{
		self: 0x1c, current: 0x20, idt: 0x38, gdt: 0x3c, version: 0x34, block: 0x120, pcrSize: 0x3748,
		thread: 4, idleThread: 0xc, number: 0x3cc, state: 0x18, context: 0x1968, prcbSize: 0x3628,
		process: 0x50, table: 0x18, links: 0xb8, name: 0x16c,
	}
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
	l.NtBuildLab = l.Kernel + rvaBuildLab
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
