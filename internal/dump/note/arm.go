package note

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// armNotes are NT_PRSTATUS, and NT_ARM_VFP if the processor has floating point
// (target/arm/arch_dump.c, QEMU 7.2).
func armNotes(s *arch.ARM, index int, order binary.ByteOrder) []elfNote {
	status := elfNote{nameCore, ntPRStatus, armStatus(s, index, order)}
	if !s.VFP {
		return []elfNote{status}
	}
	// struct user_vfp: d0 to d31, fpscr.
	vfp := make([]byte, 260)
	encode(vfp, order, struct {
		D     [32]uint64
		FPSCR uint32
	}{s.D, s.FPSCR})
	return []elfNote{status, {nameLinux, ntARMVFP, vfp}}
}

// armStatus is struct elf_prstatus of arm, 148 bytes: the process id at 24, r0
// to r15 and cpsr at 72, pr_fpvalid at 144.
func armStatus(s *arch.ARM, index int, order binary.ByteOrder) []byte {
	b := make([]byte, 148)
	order.PutUint32(b[24:], uint32(index)+1)
	encode(b[72:], order, struct {
		R    [16]uint32
		CPSR uint32
	}{s.R, s.CPSR})
	if s.VFP {
		order.PutUint32(b[144:], 1)
	}
	return b
}
