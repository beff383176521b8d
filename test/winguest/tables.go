package winguest

import "encoding/binary"

// Selectors of segments, as the width has them.
func (k Kind) Selectors() (code, stack, data, fs uint16) {
	if k.Wide {
		return 0x10, 0x18, 0x2b, 0x53
	}
	return 8, 0x10, 0x23, 0x30
}

// tables fills the processors' tables of interrupts and segments.
func (g *Guest) tables() {
	code, _, _, _ := g.Selectors()
	for i := range 256 {
		handler := g.Kernel + rvaHandlers + uint64(i)*16
		if i == 0xd1 || i == 0x50 {
			handler = g.hal(g.Kind) + pageSize + uint64(i)
		}
		b := binary.LittleEndian.AppendUint16(nil, uint16(handler))
		b = binary.LittleEndian.AppendUint16(b, code)
		b = append(b, 0, 0x8e) // an interrupt gate
		b = binary.LittleEndian.AppendUint16(b, uint16(handler>>16))
		if g.Wide {
			b = binary.LittleEndian.AppendUint64(b, handler>>32)
		}
		g.Put(g.IDT+uint64(i*len(b)), b)
	}
	for i, gdt := range g.GDT {
		entries := map[uint64]uint64{0x10: 0x00af9b000000ffff, 0x18: 0x00cf93000000ffff, 0x28: 0x00cff3000000ffff, 0x50: 0x0040f3000000fc00}
		if !g.Wide {
			entries = map[uint64]uint64{8: 0x00cf9b000000ffff, 0x10: 0x00cf93000000ffff, 0x20: 0x00cff3000000ffff,
				0x30: 0x0040930000003748 | g.PCR[i]&0xffffff<<16 | g.PCR[i]>>24<<56}
		}
		for at, v := range entries {
			g.Put64(gdt+at, v)
		}
	}
}

// UserTables are page tables with what a kernel leaves to programs that hides itself from them, and where they are: the pages
// that interrupts and system calls enter it at, their table and the processors' control regions. The processors are to have them.
func (g *Guest) UserTables() uint64 {
	kernel := g.root
	g.root = g.frame()
	page := func(va, n uint64) {
		for at := va &^ (pageSize - 1); at < va+n; at += pageSize {
			g.MapTo(at, g.pages[at])
		}
	}
	page(g.IDT, pageSize)
	page(g.Kernel+rvaHandlers, 2*pageSize)
	page(g.Shared, pageSize)
	for _, pcr := range g.PCR {
		page(pcr, pageSize)
		page(pcr+0x7000, 8)
	}
	user := g.root
	g.root = kernel
	return user
}

// Boot is what the program that starts the guest finds below 2 MiB, where addresses are their own: physical addresses.
type Boot struct {
	// Request is a DMA request of fw_cfg that writes Message, 16 bytes, to a file but for the file's number; Name is that of
	// the file, NUL-terminated.
	Request, Message, Name uint64
	GDTR                   [CPUs]uint64 // what LGDT and LIDT take
	IDTR                   uint64
	MXCSR                  [CPUs]uint64 // what LDMXCSR takes
}

// FileName is the file of the hypervisor that the driver writes to.
const FileName = "etc/vmcoreinfo\x00"

// MXCSR is what a processor has in that register: no two have the same.
func MXCSR(cpu int) uint32 { return 0x1f80 | 0x20<<cpu }

// Boot writes all that and says where it is.
func (g *Guest) Boot() Boot {
	b := Boot{Request: Base, Message: Base + 0x20, Name: Base + 0x40, IDTR: Base + 0x60}
	be, le := binary.BigEndian, binary.LittleEndian
	request := be.AppendUint32(nil, 0x18) // select and write
	request = be.AppendUint32(request, 16)
	g.PutPhysical(b.Request, be.AppendUint64(request, b.Message))
	message := le.AppendUint16([]byte{0, 0}, 1) // the guest's format is an ELF note
	message = le.AppendUint32(message, 12+12+g.NoteSize)
	g.PutPhysical(b.Message, le.AppendUint64(message, g.NoteAddr))
	g.PutPhysical(b.Name, []byte(FileName))
	table := func(at uint64, size uint16, base uint64) {
		g.PutPhysical(at, le.AppendUint64(le.AppendUint16(nil, size-1), base))
	}
	table(b.IDTR, uint16(256*2*g.pointer()), g.IDT)
	for i := range CPUs {
		b.GDTR[i], b.MXCSR[i] = Base+0x70+uint64(i)*16, Base+0xa0+uint64(i)*4
		table(b.GDTR[i], 0x80, g.GDT[i])
		g.PutPhysical(b.MXCSR[i], le.AppendUint32(nil, MXCSR(i)))
	}
	return b
}

// Image is the guest's memory from Base on, with the driver's note.
func (g *Guest) Image() []byte {
	le := binary.LittleEndian
	note := le.AppendUint32(nil, 11)
	note = le.AppendUint32(note, g.NoteSize)
	note = le.AppendUint32(note, 0)
	note = append(note, "VMCOREINFO\x00\x00"...)
	g.PutPhysical(g.NoteAddr, append(note, g.Header...))
	g.Boot()
	return g.bytes
}
