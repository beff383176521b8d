package note

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// Types of the kernel's notes for Arm (include/uapi/linux/elf.h).
const (
	ntARMVFP = 0x400
	ntARMSVE = 0x405
)

// arm64Notes are NT_PRSTATUS and NT_PRFPREG, and NT_ARM_SVE if the processor
// has that (target/arm/arch_dump.c; the last one since QEMU 5.0).
func arm64Notes(s *arch.ARM64, index int, order binary.ByteOrder) []elfNote {
	notes := []elfNote{
		{nameCore, ntPRStatus, arm64Status(s, index, order)},
		{nameCore, ntFPRegSet, arm64Vectors(s, order)},
	}
	if s.SVE != nil {
		notes = append(notes, elfNote{nameLinux, ntARMSVE, arm64SVE(s, order)})
	}
	return notes
}

// arm64Status is struct elf_prstatus of arm64, 392 bytes: the process id at
// 32, struct user_pt_regs at 112, pr_fpvalid at 384.
func arm64Status(s *arch.ARM64, index int, order binary.ByteOrder) []byte {
	b := make([]byte, 392)
	order.PutUint32(b[32:], uint32(index)+1)
	encode(b[112:], order, struct {
		X              [31]uint64
		SP, PC, PState uint64
	}{s.X, s.SP, s.PC, s.PState})
	order.PutUint32(b[384:], 1)
	return b
}

// arm64Vectors is struct user_fpsimd_state, 528 bytes: registers of 128 bits,
// the high half first in a big-endian file, then fpsr and fpcr.
func arm64Vectors(s *arch.ARM64, order binary.ByteOrder) []byte {
	v := s.V
	if order == binary.BigEndian {
		for i := range v {
			v[i][0], v[i][1] = v[i][1], v[i][0]
		}
	}
	b := make([]byte, 528)
	encode(b, order, struct {
		V          [32][2]uint64
		FPSR, FPCR uint32
	}{v, s.FPSR, s.FPCR})
	return b
}

// arm64SVE is struct user_sve_header and what it heads, for vectors of vl
// bytes:
//
//	0                 size, max_size of this note, u32 each
//	8                 vl, max_vl, flags (1: SVE), 0, u16 each
//	16                z0 to z31, vl each
//	16+32*vl          p0 to p15, ffr, vl/8 each
//	next multiple     fpsr, fpcr, u32 each, up to a multiple of 16
//
// The registers are little-endian in either byte order.
func arm64SVE(s *arch.ARM64, order binary.ByteOrder) []byte {
	vl := s.SVE.VL()
	b := make([]byte, sveSize(vl))
	encode(b, order, struct {
		Size, MaxSize           uint32
		VL, MaxVL, Flags, Spare uint16
	}{uint32(len(b)), uint32(sveSize(s.SVE.MaxVL)), uint16(vl), uint16(s.SVE.MaxVL), 1, 0})
	at := 16
	for _, r := range append(s.SVE.Z[:], s.SVE.P[:]...) {
		at += copy(b[at:], r)
	}
	encode(b[sveControl(vl):], order, [2]uint32{s.FPSR, s.FPCR})
	return b
}

// sveControl is where fpsr lies in the note.
func sveControl(vl int) int { return (16 + 32*vl + 17*vl/8 + 15) &^ 15 }

func sveSize(vl int) int { return sveControl(vl) + 16 }
