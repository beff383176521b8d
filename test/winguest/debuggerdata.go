package winguest

import "encoding/binary"

// shared fills the page that the kernel shares with programs (KUSER_SHARED_DATA).
func (g *Guest) shared() {
	s := g.Shared
	time := func(at, v uint64) {
		g.Put64(s+at, v)
		g.Put32(s+at+8, uint32(v>>32))
	}
	time(0x8, UpTime)
	time(0x14, SystemTime)
	g.Put(s+0x30, utf16(`C:\Windows`))
	g.Put32(s+0x264, Product)
	g.Put(s+0x268, []byte{1})
	g.Put32(s+0x26c, NtMajor)
	g.Put32(s+0x270, NtMinor)
	g.Put32(s+0x2d0, SuiteMask)
	g.Put32(s+0x3c0, CPUs)
}

// debuggerData fills KDBG and what it points to.
func (g *Guest) debuggerData() {
	g.PutPointer(g.MmPfnDatabase, pick[uint64](g.Kind, 0xfffffa80_00000000, 0x83c00000))
	g.PutPointer(g.MmPhysicalMemoryBlock, g.MemoryDescriptor)
	g.PutDescriptor(Runs)
	g.Put(g.NtBuildLab, []byte("7601.17514.fake.101119-1850\x00"))

	version := g.KdVersionBlock
	g.Put16(version, MajorBuild)
	g.Put16(version+2, Build)
	g.Put(version+4, []byte{6, 2}) // the protocols
	g.Put16(version+6, pick[uint16](g.Kind, 0x47, 0x43))
	g.Put16(version+8, pick[uint16](g.Kind, 0x8664, 0x14c))
	g.Put64(version+0x10, g.wide(g.Kernel))
	g.Put64(version+0x18, g.wide(g.PsLoadedModuleList))
	head := g.Kernel + rvaLists + 0x40
	g.Put64(version+0x20, g.wide(head))
	g.list(head, []uint64{g.KDBG})

	block := g.kdbg()
	binary.LittleEndian.PutUint64(block, pick(g.Kind, head, head|head<<32)) // a list of pointers, of whatever width
	binary.LittleEndian.PutUint64(block[8:], pick(g.Kind, head, 0))
	g.Put(g.DriverKDBG, block)
	if g.Encoded {
		block = g.encode(block)
	}
	g.Put(g.KDBG, block)
}

// wide is a pointer as a number of 64 bits: those of 32 take their sign along.
func (g *Guest) wide(v uint64) uint64 {
	if g.Wide {
		return v
	}
	return uint64(int64(int32(v)))
}

// kdbg is KDDEBUGGER_DATA64, as large as the release has it.
func (g *Guest) kdbg() []byte {
	le, o := binary.LittleEndian, g.offsets()
	b := make([]byte, pick(g.Kind, 0x380, 0x340))
	copy(b[0x10:], "KDBG")
	le.PutUint32(b[0x14:], uint32(len(b)))
	for at, v := range map[int]uint64{
		0x18: g.Kernel, 0x48: g.PsLoadedModuleList, 0x50: g.PsActiveProcessHead, 0x88: g.KiBugcheckData, 0xc0: g.MmPfnDatabase,
		0x208: g.NtBuildLab, 0x218: g.KiProcessorBlock, 0x270: g.MmPhysicalMemoryBlock,
	} {
		le.PutUint64(b[at:], g.wide(v))
	}
	le.PutUint64(b[0x138:], pageSize)
	if g.PAE {
		b[0x36] = 1
	}
	for at, v := range map[int]uint64{
		0x2a0: o.process, 0x2ae: o.table, 0x2b0: o.prcbSize, 0x2b4: o.thread, 0x2bc: o.state, 0x2be: o.number,
		0x2e0: o.pcrSize, 0x2e2: o.self, 0x2e4: o.current, 0x2e6: o.block, 0x338: o.context,
	} {
		le.PutUint16(b[at:], uint16(v))
	}
	return b
}

// PutDescriptor stores the list of ranges of physical memory.
func (g *Guest) PutDescriptor(runs []Run) {
	p, at := g.pointer(), g.MemoryDescriptor
	g.Put32(at, uint32(len(runs)))
	g.PutPointer(at+p, pages(runs))
	for i, r := range runs {
		g.PutPointer(at+2*p+uint64(i)*2*p, r.Base)
		g.PutPointer(at+2*p+uint64(i)*2*p+p, r.Count)
	}
}

func pages(runs []Run) (n uint64) {
	for _, r := range runs {
		n += r.Count
	}
	return n
}
