package vboxfile

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// segment is where the parts of a segment register are.
type segment struct{ selector, base, limit, attr int }

// table is where the registers of a descriptor table are; the limit has size
// bytes.
type table struct{ base, limit, size int }

// layout is where registers are in what VirtualBox writes of a processor, as
// offsets in bytes.
type layout struct {
	first, last uint32 // versions of the format
	size        int    // bytes in all

	regs        [16]int // as arch.X86 has them
	rip, rflags int
	segs        [6]segment // likewise
	ldt, tr     segment
	gdt, idt    table
	cr, dr      int // CR0 CR2 CR3 CR4; DR0 to DR7
	sysenter    int // CS EIP ESP
	// EFER STAR PAT LSTAR CSTAR SFMASK KernelGSBase
	msrs int
	// 0 where there is none.
	apicBase, tscAux, xcr0 int
	// The FXSAVE area, or the XSAVE area whose length is at areaSize.
	area, areaSize int
}

// layouts are those of VirtualBox's sources as far as these could be had. That
// 0x10004 is like 0x10005 is what a reader of both takes for granted (tetrane
// vmghost).
var layouts = []layout{
	core(0x10006, 0x10006, 8),
	core(0x10004, 0x10005, 0),
	context40,
	context42,
}

// core is DBGFCORECPU (include/VBox/vmm/dbgfcorefmt.h, VirtualBox 6.0 and 7.0)
// with more bytes for TSC_AUX.
func core(first, last uint32, more int) layout {
	seg := func(at int) segment { return segment{base: at, limit: at + 8, attr: at + 12, selector: at + 16} }
	l := layout{
		first: first, last: last, size: 8768 + more,
		regs: [16]int{0, 0x10, 0x18, 0x08, 0x78, 0x80, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x58, 0x60, 0x68},
		rip:  0x70, rflags: 0x88,
		segs: [6]segment{seg(0xc0), seg(0x90), seg(0x108), seg(0xa8), seg(0xd8), seg(0xf0)},
		ldt:  seg(0x1a0), tr: seg(0x1b8),
		gdt: table{0x180, 0x188, 4}, idt: table{0x190, 0x198, 4},
		cr: 0x120, dr: 0x140, sysenter: 0x1d0, msrs: 0x1e8,
		apicBase: 0x220, xcr0: 0x228 + more, areaSize: 0x238 + more, area: 0x240 + more,
	}
	if more > 0 {
		l.tscAux = 0x228
	}
	return l
}

// context40 is CPUMCTX (include/VBox/cpumctx.h, VirtualBox 4.0, 2010).
var context40 = func() layout {
	seg := func(selector, hidden int) segment { return segment{selector, hidden, hidden + 8, hidden + 12} }
	return layout{
		first: 0, last: 0x10000, size: 1024,
		regs: [16]int{536, 560, 552, 544, 568, 528, 520, 512, 624, 632, 640, 648, 656, 664, 672, 680},
		rip:  616, rflags: 608,
		segs: [6]segment{seg(592, 688), seg(600, 704), seg(580, 720), seg(596, 736), seg(588, 752), seg(584, 768)},
		ldt:  seg(904, 992), tr: seg(908, 1008),
		gdt: table{882, 880, 2}, idt: table{894, 892, 2},
		cr: 784, dr: 816, sysenter: 912, msrs: 936,
	}
}()

// context42 is CPUMCTX (include/VBox/vmm/cpumctx.h, VirtualBox 4.2, 2012).
var context42 = func() layout {
	seg := func(at int) segment { return segment{at, at + 8, at + 16, at + 20} }
	return layout{
		first: 0x10000, last: 0x10000, size: 1088,
		regs: [16]int{512, 520, 528, 536, 544, 552, 560, 568, 576, 584, 592, 600, 608, 616, 624, 632},
		rip:  784, rflags: 792,
		segs: [6]segment{seg(640), seg(664), seg(688), seg(712), seg(736), seg(760)},
		ldt:  seg(928), tr: seg(952),
		gdt: table{904, 902, 2}, idt: table{920, 918, 2},
		cr: 800, dr: 832, sysenter: 976, msrs: 1000,
	}
}()

// read reads a processor out of b, which is as long as the layout says.
func (l *layout) read(b []byte, wide bool) *arch.X86 {
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	word32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	optional := func(at int) *uint64 {
		if at == 0 {
			return nil
		}
		v := word(at)
		return &v
	}
	seg := func(p segment) arch.X86Segment {
		return arch.X86Segment{
			Selector: uint32(binary.LittleEndian.Uint16(b[p.selector:])),
			Base:     word(p.base), Limit: word32(p.limit),
			Flags: word32(p.attr) & 0xffff << 8, // bit 16 is VirtualBox's own
		}
	}
	tab := func(p table) arch.X86Segment {
		limit := word32(p.limit)
		if p.size == 2 {
			limit &= 0xffff
		}
		return arch.X86Segment{Base: word(p.base), Limit: limit}
	}
	s := &arch.X86{
		Wide: wide, RIP: word(l.rip), RFLAGS: word(l.rflags),
		LDT: seg(l.ldt), TR: seg(l.tr), GDT: tab(l.gdt), IDT: tab(l.idt),
		CR:   [5]uint64{word(l.cr), 0, word(l.cr + 8), word(l.cr + 16), word(l.cr + 24)},
		EFER: word(l.msrs), KernelGSBase: word(l.msrs + 48),
		DR:       &[8]uint64{},
		Syscall:  &arch.X86Syscall{STAR: word(l.msrs + 8), LSTAR: word(l.msrs + 24), CSTAR: word(l.msrs + 32), FMASK: word(l.msrs + 40)},
		Sysenter: &arch.X86Sysenter{CS: word(l.sysenter), EIP: word(l.sysenter + 8), ESP: word(l.sysenter + 16)},
		PAT:      optional(l.msrs + 16), APICBase: optional(l.apicBase), TSCAux: optional(l.tscAux), XCR0: optional(l.xcr0),
	}
	for i, at := range l.regs {
		s.Regs[i] = word(at)
	}
	for i, p := range l.segs {
		s.Segs[i] = seg(p)
	}
	for i := range s.DR {
		s.DR[i] = word(l.dr + 8*i)
	}
	size := 512
	if l.areaSize != 0 {
		size = int(min(word32(l.areaSize), uint32(len(b)-l.area)))
	}
	s.FPU = fpu(b[l.area:][:size], wide)
	return s
}
