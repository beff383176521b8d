package note

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// Types of the kernel's notes for s390 (include/uapi/linux/elf.h).
const (
	ntS390Timer    = 0x301
	ntS390TODCmp   = 0x302
	ntS390TODPReg  = 0x303
	ntS390Ctrs     = 0x304
	ntS390Prefix   = 0x305
	ntS390VXRSLow  = 0x309
	ntS390VXRSHigh = 0x30a
	ntS390GSCB     = 0x30b
)

// s390xNotes are those QEMU gives any CPU, with vector registers and guarded
// storage or without (target/s390x/arch_dump.c; the last one since 2.11).
// The note of a protected guest's CPU comes from the ultravisor alone and is
// not among them.
func s390xNotes(s *arch.S390X, index int) []elfNote {
	var low [16]uint64
	for i := range low {
		low[i] = s.V[i][1]
	}
	return []elfNote{
		{nameCore, ntPRStatus, s390xStatus(s, index)},
		{nameCore, ntFPRegSet, s390xFloats(s)},
		{nameLinux, ntS390Prefix, big(s.Prefix)},
		{nameLinux, ntS390Ctrs, big(s.Control)},
		{nameLinux, ntS390Timer, big(s.CPUTimer)},
		{nameLinux, ntS390TODCmp, big(s.ClockComparator)},
		{nameLinux, ntS390TODPReg, big(s.TODProgrammable)},
		{nameLinux, ntS390VXRSLow, big(low)},
		{nameLinux, ntS390VXRSHigh, big(s.V[16:])},
		{nameLinux, ntS390GSCB, big(s.GuardedStorage)},
	}
}

// s390xStatus is struct elf_prstatus of s390x, 336 bytes: the process id at
// 32, s390_regs at 112. QEMU has the id in its host's byte order up to 7.2 at
// least, and right in 10.0.
func s390xStatus(s *arch.S390X, index int) []byte {
	b := make([]byte, 336)
	binary.BigEndian.PutUint32(b[32:], uint32(index)+1)
	encode(b[112:], binary.BigEndian, struct {
		PSWMask, PSWAddr uint64
		GPR              [16]uint64
		Access           [16]uint32
	}{s.PSWMask, s.PSWAddr, s.GPR, s.Access})
	return b
}

// s390xFloats is s390_fp_regs, 136 bytes: fpc, 4 bytes of nothing, the
// floating-point registers.
func s390xFloats(s *arch.S390X) []byte {
	var f [16]uint64
	for i := range f {
		f[i] = s.V[i][0]
	}
	return big(struct {
		FPC, _ uint32
		F      [16]uint64
	}{FPC: s.FPC, F: f})
}

// big encodes a value of fixed size, big-endian.
func big(v any) []byte {
	b := make([]byte, binary.Size(v))
	encode(b, binary.BigEndian, v)
	return b
}
