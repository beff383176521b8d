package notefile

import (
	"fmt"

	"guestcore/internal/arch"
)

// qemuSegment is QEMUCPUSegment: flags are the descriptor's second word.
type qemuSegment struct {
	Selector, Limit, Flags, Pad uint32
	Base                        uint64
}

func (s qemuSegment) segment() arch.X86Segment {
	return arch.X86Segment{Selector: s.Selector, Base: s.Base, Limit: s.Limit, Flags: s.Flags}
}

// qemuState is QEMUCPUState, version 1, before kernel_gs_base came in QEMU
// 2.12 (target/i386/arch_dump.c).
type qemuState struct {
	Version, Size                          uint32
	RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP uint64
	R                                      [8]uint64 // r8 on
	RIP, RFLAGS                            uint64
	CS, DS, ES, FS, GS, SS                 qemuSegment
	LDT, TR, GDT, IDT                      qemuSegment
	CR                                     [5]uint64
}

const (
	qemuStateSize = 440
	qemuStateOld  = 432 // without kernel_gs_base
)

// EFER is not in QEMU's note. The other registers tell one bit of it, long
// mode: with paging and PAE on, the code segment has the bit for it, or there
// is an address of more than 32 bits. The rest of EFER is left 0.
const (
	cr0PG       = 1 << 31
	cr4PAE      = 1 << 5
	segmentLong = 1 << 21 // L of a code segment
)

// x86 reads QEMU's note, which says all that NT_PRSTATUS does. wide is what the
// file says of the machine.
func (p *processor) x86(wide bool) *arch.X86 {
	n, ok := find(p.notes, qemu, 0)
	if !ok {
		p.err = fmt.Errorf("the dump has what a kernel saves of a processor (NT_PRSTATUS) and not QEMU's note, and so no control registers")
		return nil
	}
	size := qemuStateSize
	if len(n.Desc) == qemuStateOld {
		size = qemuStateOld
	}
	var q qemuState
	p.take(qemu, 0, size, 0, &q)
	if p.err == nil && (q.Version != 1 || q.Size != uint32(size)) {
		p.err = fmt.Errorf("QEMU's note is of version %d and says it has %d bytes: only version 1 with %d is known", q.Version, q.Size, size)
	}
	s := &arch.X86{
		Regs: [16]uint64{q.RAX, q.RCX, q.RDX, q.RBX, q.RSP, q.RBP, q.RSI, q.RDI,
			q.R[0], q.R[1], q.R[2], q.R[3], q.R[4], q.R[5], q.R[6], q.R[7]},
		RIP: q.RIP, RFLAGS: q.RFLAGS,
		Segs: [6]arch.X86Segment{q.ES.segment(), q.CS.segment(), q.SS.segment(), q.DS.segment(), q.FS.segment(), q.GS.segment()},
		LDT:  q.LDT.segment(), TR: q.TR.segment(), GDT: q.GDT.segment(), IDT: q.IDT.segment(),
		CR: q.CR,
	}
	if size == qemuStateSize {
		p.take(qemu, 0, size, qemuStateOld, &s.KernelGSBase)
	}
	if q.CR[0]&cr0PG != 0 && q.CR[4]&cr4PAE != 0 && (q.CS.Flags&segmentLong != 0 || (q.RIP|q.IDT.Base|q.GDT.Base)>>32 != 0) {
		s.EFER = arch.EFERLMA
	}
	s.Wide = wide || s.LongMode()
	return s
}
