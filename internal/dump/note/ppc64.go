package note

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// Types of the kernel's notes for Power (include/uapi/linux/elf.h). The kernel
// itself names them LINUX.
const (
	ntPPCVMX = 0x100
	ntPPCSPE = 0x101
	ntPPCVSX = 0x102
)

// ppc64Notes are those QEMU gives any CPU, whatever registers it has
// (target/ppc/arch_dump.c).
func ppc64Notes(s *arch.PPC64, index int, order binary.ByteOrder) []elfNote {
	floats := make([]byte, 33*8)
	lows := make([]byte, 32*8)
	for i, v := range s.VSR[:32] {
		order.PutUint64(floats[8*i:], v[0])
		order.PutUint64(lows[8*i:], v[1])
	}
	order.PutUint64(floats[32*8:], s.FPSCR)
	return []elfNote{
		{nameCore, ntPRStatus, ppc64Status(s, index, order)},
		{nameCore, ntFPRegSet, floats},
		{nameCore, ntPPCVMX, ppc64Vectors(s, order)},
		{nameCore, ntPPCVSX, lows},
		{nameCore, ntPPCSPE, ppc64SPE(s, order)},
	}
}

// ppc64Status is struct elf_prstatus of ppc64, 504 bytes: the process id at
// 32, struct pt_regs at 112. Up to 7.2 at least QEMU leaves the id 0.
func ppc64Status(s *arch.PPC64, index int, order binary.ByteOrder) []byte {
	b := make([]byte, 504)
	order.PutUint32(b[32:], uint32(index)+1)
	encode(b[112:], order, struct {
		GPR                   [32]uint64
		NIP, MSR, OrigGPR3    uint64
		CTR, Link, XER, CCR   uint64
		SoftE, Trap           uint64
		DAR, DSISR, SysResult uint64
	}{GPR: s.GPR, NIP: s.NIP, MSR: s.MSR, CTR: s.CTR, Link: s.LR, XER: s.XER, CCR: uint64(s.CR)})
	return b
}

// ppc64Vectors is elf_vrregset_t, 544 bytes: 32 registers of 128 bits, vscr in
// the last word of another, vrsave, which QEMU leaves 0.
func ppc64Vectors(s *arch.PPC64, order binary.ByteOrder) []byte {
	b := make([]byte, 34*16)
	for i, v := range s.VSR[32:] {
		if order == binary.LittleEndian {
			v[0], v[1] = v[1], v[0]
		}
		encode(b[16*i:], order, v)
	}
	order.PutUint32(b[32*16+12:], s.VSCR)
	return b
}

// ppc64SPE is elf_evrregset_t, 140 bytes: the upper halves of the general
// registers, which QEMU leaves 0, the accumulator, spefscr.
func ppc64SPE(s *arch.PPC64, order binary.ByteOrder) []byte {
	b := make([]byte, 140)
	order.PutUint64(b[128:], s.SPEAcc)
	order.PutUint32(b[136:], s.SPEFSCR)
	return b
}
