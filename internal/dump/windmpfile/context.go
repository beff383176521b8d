package windmpfile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"guestcore/internal/arch"
)

// Flags of a CONTEXT: which architecture's it is and which parts it has.
const (
	flagX64    = 0x100000
	flagX86    = 0x10000
	flagPlain  = 0x7 // control, integers, segments: all that one must have
	flagFloat  = 0x8
	flagDebug  = 0x10
	flagFXSave = 0x20 // of x86
)

// Offsets in CONTEXT of x64, which has 1232 bytes (winnt.h).
const (
	x64Flags  = 0x30
	x64Segs   = 0x38 // cs ds es fs gs ss, two bytes each
	x64EFlags = 0x44
	x64Debug  = 0x48 // dr0 to 3, 6, 7
	x64Regs   = 0x78 // in the order of instructions, then rip
	x64FXSave = 0x100
	x64Size   = 0x4d0
)

// Offsets in CONTEXT of x86, which has 716 bytes.
const (
	x86Flags  = 0
	x86Debug  = 0x4
	x86Segs   = 0x8c // gs fs es ds, four bytes each
	x86Regs   = 0x9c // edi esi ebx edx ecx eax ebp eip cs eflags esp ss
	x86FXSave = 0xcc
	x86Size   = 0x2cc
)

// readContext reads what a CONTEXT has. The hidden parts of segments and the
// control registers are not in one.
func (k *debuggerData) readContext(at uint64) (*arch.X86, error) {
	b := make([]byte, x86Size)
	flags, own := x86Flags, uint32(flagX86)
	if k.wide {
		b, flags, own = make([]byte, x64Size), x64Flags, flagX64
	}
	if err := k.read(b, at); err != nil {
		return nil, err
	}
	f := uint32(number(b[flags:][:4]))
	if f&own == 0 || f&flagPlain != flagPlain {
		return nil, fmt.Errorf("its flags are %#x: it is not filled in", f)
	}
	if k.wide {
		return context64(b, f), nil
	}
	return context32(b, f), nil
}

func context64(b []byte, flags uint32) *arch.X86 {
	le := binary.LittleEndian
	s := &arch.X86{Wide: true, RFLAGS: uint64(le.Uint32(b[x64EFlags:]))}
	for i := range s.Regs {
		s.Regs[i] = le.Uint64(b[x64Regs+8*i:])
	}
	s.RIP = le.Uint64(b[x64Regs+8*16:])
	for i, n := range [6]int{1, 3, 0, 4, 5, 2} { // cs ds es fs gs ss among es cs ss ds fs gs
		s.Segs[n].Selector = uint32(le.Uint16(b[x64Segs+2*i:]))
	}
	if flags&flagDebug != 0 {
		s.DR = &[8]uint64{}
		for i, n := range [6]int{0, 1, 2, 3, 6, 7} {
			s.DR[n] = le.Uint64(b[x64Debug+8*i:])
		}
	}
	if flags&flagFloat != 0 {
		s.FPU = fxsave(b[x64FXSave:][:512], 16)
	}
	return s
}

func context32(b []byte, flags uint32) *arch.X86 {
	le := binary.LittleEndian
	reg := func(i int) uint64 { return uint64(le.Uint32(b[x86Regs+4*i:])) }
	s := &arch.X86{
		// eax ecx edx ebx esp ebp esi edi
		Regs: [16]uint64{reg(5), reg(4), reg(3), reg(2), reg(10), reg(6), reg(1), reg(0)},
		RIP:  reg(7), RFLAGS: reg(9),
	}
	for i, n := range [4]int{5, 4, 0, 3} { // gs fs es ds
		s.Segs[n].Selector = le.Uint32(b[x86Segs+4*i:]) & 0xffff
	}
	s.Segs[1].Selector, s.Segs[2].Selector = uint32(reg(8))&0xffff, uint32(reg(11))&0xffff
	if flags&flagDebug != 0 {
		s.DR = &[8]uint64{}
		for i, n := range [6]int{0, 1, 2, 3, 6, 7} {
			s.DR[n] = uint64(le.Uint32(b[x86Debug+4*i:]))
		}
	}
	if flags&flagFXSave != 0 {
		s.FPU = fxsave(b[x86FXSave:][:512], 8)
	}
	return s
}

// fxsave reads what FXSAVE wrote, with so many vector registers (Intel SDM vol.
// 1, 10.5.1). It is nil where all but MXCSR is zero, as QEMU has it: that is
// the state of no processor, whose control word never is.
func fxsave(b []byte, vectors int) *arch.X86FPU {
	le := binary.LittleEndian
	if bytes.Count(b[:24], []byte{0}) == 24 {
		return nil
	}
	f := &arch.X86FPU{Control: le.Uint16(b), Status: le.Uint16(b[2:]), Tags: b[4], MXCSR: le.Uint32(b[24:])}
	for i := range f.ST {
		copy(f.ST[i][:], b[32+16*i:])
	}
	f.Vectors = make([][64]byte, vectors)
	for i := range f.Vectors {
		copy(f.Vectors[i][:16], b[160+16*i:])
	}
	return f
}
