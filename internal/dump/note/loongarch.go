package note

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// loongArchNotes are NT_PRSTATUS and NT_PRFPREG (target/loongarch/arch_dump.c).
// QEMU itself dumps such guests since 9.2.
//
// struct elf_prstatus has 480 bytes: the process id at 32, r0 to r31 at 112,
// csr_era and csr_badv at 376, pr_fpvalid at 472. The program counter is not
// in it.
func loongArchNotes(s *arch.LoongArch, index int) []elfNote {
	order := binary.LittleEndian
	status := make([]byte, 480)
	order.PutUint32(status[32:], uint32(index)+1)
	encode(status[112:], order, struct {
		R         [32]uint64
		_         uint64 // orig_a0
		ERA, BADV uint64
	}{R: s.R, ERA: s.ERA, BADV: s.BADV})
	order.PutUint32(status[472:], 1)

	// struct user_fp_state: f0 to f31, a byte for each flag, fcsr.
	float := make([]byte, 268)
	encode(float, order, struct {
		F    [32]uint64
		FCC  [8]uint8
		FCSR uint32
	}{s.F, s.FCC, s.FCSR})
	return []elfNote{{nameCore, ntPRStatus, status}, {nameCore, ntFPRegSet, float}}
}
