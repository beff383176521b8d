package vbox

import (
	"bytes"

	"guestcore/internal/arch"
)

// Numbers of registers in arch.X86.
const (
	rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi = 0, 1, 2, 3, 4, 5, 6, 7

	es, cs, ss, ds, fs, gs = 0, 1, 2, 3, 4, 5
)

// selector is DBGFCORESEL, 24 bytes.
type selector struct {
	Base        uint64
	Limit, Attr uint32
	Selector, _ uint16
	_           uint32
}

func newSelector(s arch.X86Segment) selector {
	return selector{Base: s.Base, Limit: s.Limit, Attr: attr(s), Selector: uint16(s.Selector)}
}

// attr is what VirtualBox calls the attributes of a segment (X86DESCATTR): bits
// 8 to 23 of the descriptor's second word.
func attr(s arch.X86Segment) uint32 { return s.Flags >> 8 & 0xffff }

// table is DBGFCOREXDTR, 16 bytes.
type table struct {
	Base     uint64
	Limit, _ uint32
}

// coreCPU is DBGFCORECPU (include/VBox/vmm/dbgfcorefmt.h, VirtualBox 7.0): 8776
// bytes, 8768 without TSC_AUX as in format 0x00010005. What is not known is 0.
func coreCPU(s *arch.X86, tscAux bool) []byte {
	r, seg := &s.Regs, &s.Segs
	sysenter, syscall := value(s.Sysenter), value(s.Syscall)
	area, areaSize := xsave(s)
	var b bytes.Buffer
	put(&b, [...]uint64{
		r[rax], r[rbx], r[rcx], r[rdx], r[rsi], r[rdi], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15],
		s.RIP, r[rsp], r[rbp], s.RFLAGS,
	})
	for _, n := range []int{cs, ds, es, fs, gs, ss} {
		put(&b, newSelector(seg[n]))
	}
	put(&b, [...]uint64{s.CR[0], s.CR[2], s.CR[3], s.CR[4]})
	put(&b, value(s.DR))
	put(&b, [...]table{{Base: s.GDT.Base, Limit: s.GDT.Limit}, {Base: s.IDT.Base, Limit: s.IDT.Limit}})
	put(&b, [...]selector{newSelector(s.LDT), newSelector(s.TR)})
	put(&b, [...]uint64{
		sysenter.CS, sysenter.EIP, sysenter.ESP,
		s.EFER, syscall.STAR, value(s.PAT), syscall.LSTAR, syscall.CSTAR, syscall.FMASK, s.KernelGSBase, value(s.APICBase),
	})
	if tscAux {
		put(&b, value(s.TSCAux))
	}
	put(&b, [...]uint64{value(s.XCR0), 0, uint64(areaSize)}) // the size has 32 bits, and 32 of padding
	b.Write(area[:])
	return b.Bytes()
}

// value is what a pointer points to, or zero if that is not known.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
