package windows

import (
	"bytes"
	"encoding/binary"

	"guestcore/internal/arch"
)

// ContextFlags say which parts of a CONTEXT hold something.
const (
	contextX64 = 0x100000
	contextX86 = 0x10000

	contextControl  = 0x1
	contextInteger  = 0x2
	contextSegments = 0x4
	contextFloat    = 0x8
	contextDebug    = 0x10
	contextExtended = 0x20 // of x86: the area of FXSAVE

	contextPlain = contextControl | contextInteger | contextSegments
)

// context64 is CONTEXT of x64, 1232 bytes (QEMU 7.2, include/qemu/win_dump_defs.h).
type context64 struct {
	_                      [6]uint64 // homes of parameters
	Flags, MXCSR           uint32
	CS, DS, ES, FS, GS, SS uint16
	EFlags                 uint32
	DR                     [6]uint64  // 0 to 3, 6, 7
	Regs                   [16]uint64 // as in arch.X86
	RIP                    uint64
	FXSave                 [512]byte
	_                      [26][16]byte // vector registers
	_                      [6]uint64    // vector control, debug control, last branches
}

// context32 is CONTEXT of x86, 716 bytes, and the four zeros by which QEMU's
// is longer.
type context32 struct {
	Flags                              uint32
	DR                                 [6]uint32
	FSave                              [108]byte
	_                                  uint32 // Cr0NpxState
	GS, FS, ES, DS                     uint32
	DI, SI, BX, DX, CX, AX, BP, IP, CS uint32
	EFlags, SP, SS                     uint32
	FXSave                             [512]byte
	_                                  [4]byte
}

// Numbers of registers in arch.X86.
const (
	rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi = 0, 1, 2, 3, 4, 5, 6, 7

	segES, segCS, segSS, segDS, segFS, segGS = 0, 1, 2, 3, 4, 5
)

// newContext is the CONTEXT of a processor's registers. What is not known of
// them ContextFlags do not claim.
//
// QEMU's own has the x87 and SSE registers zero, of which x64's flags say that
// they are there; so it is here unless float asks for the registers.
func newContext(s *arch.X86, wide, float bool) []byte {
	if wide {
		return encode(newContext64(s, float))
	}
	return encode(newContext32(s, float))
}

func newContext64(s *arch.X86, float bool) context64 {
	seg := func(n int) uint16 { return uint16(s.Segs[n].Selector) }
	c := context64{
		Flags: contextX64 | contextPlain,
		CS:    seg(segCS), DS: seg(segDS), ES: seg(segES), FS: seg(segFS), GS: seg(segGS), SS: seg(segSS),
		EFlags: uint32(s.RFLAGS),
		Regs:   s.Regs,
		RIP:    s.RIP,
	}
	if d := s.DR; d != nil {
		c.Flags |= contextDebug
		c.DR = [6]uint64{d[0], d[1], d[2], d[3], d[6], d[7]}
	}
	if f := s.FPU; f != nil {
		c.Flags |= contextFloat
		c.MXCSR = f.MXCSR
		if !float {
			f = &arch.X86FPU{MXCSR: f.MXCSR}
		}
		c.FXSave = f.FXSave()
	}
	return c
}

func newContext32(s *arch.X86, float bool) context32 {
	seg := func(n int) uint32 { return s.Segs[n].Selector }
	low := func(n int) uint32 { return uint32(s.Regs[n]) }
	c := context32{
		Flags: contextX86 | contextPlain,
		GS:    seg(segGS), FS: seg(segFS), ES: seg(segES), DS: seg(segDS),
		DI: low(rdi), SI: low(rsi), BX: low(rbx), DX: low(rdx), CX: low(rcx), AX: low(rax),
		BP: low(rbp), IP: uint32(s.RIP), CS: seg(segCS), EFlags: uint32(s.RFLAGS), SP: low(rsp), SS: seg(segSS),
	}
	if d := s.DR; d != nil {
		c.Flags |= contextDebug
		c.DR = [6]uint32{uint32(d[0]), uint32(d[1]), uint32(d[2]), uint32(d[3]), uint32(d[6]), uint32(d[7])}
	}
	if s.FPU != nil && float {
		c.Flags |= contextFloat | contextExtended
		c.FSave, c.FXSave = s.FPU.FSave(), s.FPU.FXSave()
	}
	return c
}

// encode is a value of fixed size in little-endian bytes.
func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err) // v is of no fixed size
	}
	return b.Bytes()
}
