package winguest

import "encoding/binary"

// processors fills the control region and block of each processor.
func (g *Guest) processors() {
	o := g.offsets()
	for i := range CPUs {
		pcr, prcb := g.PCR[i], g.PRCB[i]
		g.PutPointer(pcr+o.self, pcr)
		g.PutPointer(pcr+o.current, prcb)
		g.PutPointer(pcr+o.idt, g.IDT)
		g.PutPointer(pcr+o.gdt, g.GDT[i])
		if !g.Wide && i == 0 {
			g.PutPointer(pcr+o.version, g.KdVersionBlock)
		}
		g.Put32(prcb+o.number, uint32(i))
		g.PutPointer(prcb+o.context, g.Context[i])
		g.PutPointer(prcb+o.thread, g.thread(i))
		g.PutPointer(prcb+o.idleThread, g.thread(i))
		// What the kernel saved there when it last did.
		old := make([]byte, g.ContextSize())
		for n := range old {
			old[n] = byte(n*7 + i)
		}
		g.Put(g.Context[i], old)
		g.PutPointer(g.KiProcessorBlock+uint64(i)*g.pointer(), prcb)
		g.PutPointer(g.thread(i)+o.process, g.process(0))
	}
}

// StartBlock is the page below 1 MiB that a kernel of 64 bits starts processors by, and where it is: physical. One that is newer has
// CR3 elsewhere. Target is where the processors are to go.
func (g *Guest) StartBlock(newer bool, target uint64) (addr uint64, page []byte) {
	le := binary.LittleEndian
	page = make([]byte, pageSize)
	le.PutUint64(page, 0x1_0006_4de9)
	le.PutUint64(page[0x70:], target)
	if newer {
		le.PutUint64(page[0xa0:], 0x0007_0406_0007_0406) // the page attribute table
		le.PutUint64(page[0xc0:], g.CR3())
	} else {
		le.PutUint64(page[0xa0:], g.CR3())
	}
	return 0x13000, page
}

// Module is an address in the module beside the kernel.
func (g *Guest) Module() uint64 { return g.hal(g.Kind) + pageSize + 0x120 }

// ContextSize is that of a CONTEXT, bytes.
func (k Kind) ContextSize() int { return pick(k, 1232, 716) }

// thread is the address of one.
func (g *Guest) thread(n int) uint64 { return g.pool(g.Kind) + pageSize + uint64(n)*0x400 }

// process is the address of one.
func (g *Guest) process(n int) uint64 { return g.pool(g.Kind) + 2*pageSize + uint64(n)*0x500 }

// module is the address of a loaded module's entry.
func (g *Guest) module(n int) uint64 { return g.pool(g.Kind) + 4*pageSize + uint64(n)*0x100 }

// lists fills the lists of processes and modules.
func (g *Guest) lists() {
	o := g.offsets()
	names := []string{"System", "smss.exe", "csrss.exe"}
	links := make([]uint64, len(names))
	for i, name := range names {
		links[i] = g.process(i) + o.links
		table := g.CR3()
		if i > 0 {
			table = Base + uint64(i)*0x40
		}
		g.PutPointer(g.process(i)+o.table, table)
		g.Put(g.process(i)+o.name, []byte(name))
	}
	g.list(g.PsActiveProcessHead, links)
	g.PutPointer(g.PsInitialSystemProcess, g.process(0))

	modules := []struct {
		base, size uint64
		name       string
	}{{g.Kernel, imageSize, "ntoskrnl.exe"}, {g.hal(g.Kind), 2 * pageSize, "hal.dll"}}
	entries := make([]uint64, len(modules))
	p := g.pointer()
	for i, m := range modules {
		e := g.module(i)
		entries[i] = e
		text := utf16(m.name)
		g.PutPointer(e+6*p, m.base)
		g.PutPointer(e+7*p, m.base+rvaExecutable)
		g.Put32(e+8*p, uint32(m.size))
		for _, at := range []uint64{9 * p, 11 * p} { // its path and its name, short ones
			g.Put16(e+at, uint16(len(text)))
			g.Put16(e+at+2, uint16(len(text)))
			g.PutPointer(e+at+p, e+0xc0)
		}
		g.Put(e+0xc0, text)
	}
	g.list(g.PsLoadedModuleList, entries)
}

// list links a head and entries in a circle.
func (g *Guest) list(head uint64, entries []uint64) {
	all := append([]uint64{head}, entries...)
	for i, at := range all {
		next := all[(i+1)%len(all)]
		g.PutPointer(at, next)
		g.PutPointer(next+g.pointer(), at)
	}
}

func utf16(s string) []byte {
	var b []byte
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}
