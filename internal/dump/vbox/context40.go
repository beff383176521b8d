package vbox

import (
	"bytes"

	"guestcore/internal/arch"
)

// hidden is CPUMSELREGHID, 16 bytes.
type hidden struct {
	Base        uint64
	Limit, Attr uint32
}

func newHidden(s arch.X86Segment) hidden { return hidden{s.Base, s.Limit, attr(s)} }

// visible is a selector register with its padding.
type visible struct{ Selector, _ uint16 }

func newVisible(s arch.X86Segment) visible { return visible{Selector: uint16(s.Selector)} }

// tableRegister is VBOXGDTR and VBOXIDTR, packed, and their padding.
type tableRegister struct {
	Limit uint16
	Base  uint64
	_     uint16
}

// context40 is CPUMCTX, the processor as VirtualBox 4.0 has it in memory
// (include/VBox/cpumctx.h), 1024 bytes. What is not known is 0.
func context40(s *arch.X86) []byte {
	r, seg := &s.Regs, &s.Segs
	sysenter, syscall := value(s.Sysenter), value(s.Syscall)
	var b bytes.Buffer
	var area [512]byte
	if s.FPU != nil {
		area = s.FPU.FXSave()
	}
	b.Write(area[:])
	put(&b, [...]uint64{r[rdi], r[rsi], r[rbp], r[rax], r[rbx], r[rdx], r[rcx], r[rsp]})
	put(&b, uint32(0)) // lss_esp, of use to VirtualBox only
	for _, n := range []int{ss, gs, fs, es, ds, cs} {
		put(&b, newVisible(seg[n]))
	}
	put(&b, uint32(0))
	put(&b, [...]uint64{s.RFLAGS, s.RIP})
	put(&b, r[8:])
	for _, n := range []int{es, cs, ss, ds, fs, gs} {
		put(&b, newHidden(seg[n]))
	}
	put(&b, [...]uint64{s.CR[0], s.CR[2], s.CR[3], s.CR[4]})
	put(&b, value(s.DR))
	put(&b, tableRegister{Limit: uint16(s.GDT.Limit), Base: s.GDT.Base})
	put(&b, tableRegister{Limit: uint16(s.IDT.Limit), Base: s.IDT.Base})
	put(&b, [...]visible{newVisible(s.LDT), newVisible(s.TR)})
	put(&b, [...]uint64{
		sysenter.CS, sysenter.EIP, sysenter.ESP,
		s.EFER, syscall.STAR, value(s.PAT), syscall.LSTAR, syscall.CSTAR, syscall.FMASK, s.KernelGSBase,
	})
	put(&b, [...]hidden{newHidden(s.LDT), newHidden(s.TR)})
	return b.Bytes()
}
