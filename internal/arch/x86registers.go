package arch

import (
	"encoding/binary"
	"fmt"
)

// Registers lists the registers, see [State]: gdb's own in gdb's order and by
// its names, then what only a kernel sees. Those not known are left out.
func (s *X86) Registers() []Register {
	l := &registerList{}
	s.listCore(l)
	s.listSystem(l)
	if s.FPU != nil {
		s.FPU.list(l)
	}
	return l.regs
}

// registerList is registers as they come.
type registerList struct{ regs []Register }

func (l *registerList) bytes(name string, v []byte) { l.regs = append(l.regs, Register{name, v}) }

func (l *registerList) word64(name string, v uint64) {
	l.bytes(name, binary.LittleEndian.AppendUint64(nil, v))
}

func (l *registerList) word32(name string, v uint32) {
	l.bytes(name, binary.LittleEndian.AppendUint32(nil, v))
}

// gdb's order of the general registers, as their numbers in instructions:
// BP comes before SP on x86-64 and behind it on i386.
var (
	order64 = []int{0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15}
	order32 = []int{0, 1, 2, 3, 4, 5, 6, 7}
)

var (
	generalNames = []string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"}
	segmentNames = []string{"es", "cs", "ss", "ds", "fs", "gs"}
	segmentOrder = []int{1, 2, 3, 0, 4, 5} // gdb's
)

// listCore lists what every program sees.
func (s *X86) listCore(l *registerList) {
	order, prefix, word := order32, "e", func(name string, v uint64) { l.word32(name, uint32(v)) }
	if s.Wide {
		order, prefix, word = order64, "r", l.word64
	}
	for _, n := range order {
		name := fmt.Sprintf("r%d", n)
		if n < 8 {
			name = prefix + generalNames[n]
		}
		word(name, s.Regs[n])
	}
	word(prefix+"ip", s.RIP)
	l.word32("eflags", uint32(s.RFLAGS))
	for _, n := range segmentOrder {
		l.word32(segmentNames[n], s.Segs[n].Selector)
	}
}

// listSystem lists what the kernel sees.
func (s *X86) listSystem(l *registerList) {
	l.word64("fs_base", s.Segs[4].Base)
	l.word64("gs_base", s.Segs[5].Base)
	if s.Wide {
		l.word64("k_gs_base", s.KernelGSBase)
	}
	for _, n := range []int{0, 2, 3, 4} {
		l.word64(fmt.Sprintf("cr%d", n), s.CR[n])
	}
	l.word64("efer", s.EFER)
	for _, n := range segmentOrder {
		if name := segmentNames[n]; n < 4 {
			l.word64(name+"_base", s.Segs[n].Base)
		}
		l.word32(segmentNames[n]+"_limit", s.Segs[n].Limit)
		l.word32(segmentNames[n]+"_flags", s.Segs[n].Flags)
	}
	for _, t := range []struct {
		name string
		seg  X86Segment
	}{{"ldtr", s.LDT}, {"tr", s.TR}} {
		l.word32(t.name, t.seg.Selector)
		l.word64(t.name+"_base", t.seg.Base)
		l.word32(t.name+"_limit", t.seg.Limit)
		l.word32(t.name+"_flags", t.seg.Flags)
	}
	l.word64("gdt_base", s.GDT.Base)
	l.word32("gdt_limit", s.GDT.Limit)
	l.word64("idt_base", s.IDT.Base)
	l.word32("idt_limit", s.IDT.Limit)
	if s.DR != nil {
		for _, n := range []int{0, 1, 2, 3, 6, 7} {
			l.word64(fmt.Sprintf("dr%d", n), s.DR[n])
		}
	}
	if m := s.Syscall; m != nil {
		l.word64("star", m.STAR)
		l.word64("lstar", m.LSTAR)
		l.word64("cstar", m.CSTAR)
		l.word64("fmask", m.FMASK)
	}
	if m := s.Sysenter; m != nil {
		l.word64("sysenter_cs", m.CS)
		l.word64("sysenter_esp", m.ESP)
		l.word64("sysenter_eip", m.EIP)
	}
	for _, m := range []struct {
		name  string
		value *uint64
	}{{"pat", s.PAT}, {"tsc_aux", s.TSCAux}, {"xcr0", s.XCR0}, {"apic_base", s.APICBase}} {
		if m.value != nil {
			l.word64(m.name, *m.value)
		}
	}
}

// list lists the registers by the names gdb has for them. Of the vectors there
// are only xmm, which every processor has; the tags are FXSAVE's.
func (f *X86FPU) list(l *registerList) {
	for i := range f.ST {
		l.bytes(fmt.Sprintf("st%d", i), f.ST[i][:])
	}
	l.word32("fctrl", uint32(f.Control))
	l.word32("fstat", uint32(f.Status))
	l.word32("ftag", uint32(f.Tags))
	for i := range f.Vectors[:min(len(f.Vectors), 16)] {
		l.bytes(fmt.Sprintf("xmm%d", i), f.Vectors[i][:16])
	}
	l.word32("mxcsr", f.MXCSR)
}
