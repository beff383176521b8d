package arch

import (
	"encoding/binary"
	"fmt"
)

// The 512 bytes that FXSAVE writes (Intel SDM vol. 1, 10.5.1) are all of
// NT_FPREGSET and the begin of NT_X86_XSTATE:
//
//	0 control  2 status  4 tags  6 opcode  8 instruction  12 its segment
//	16 operand  20 its segment  24 mxcsr  32 st0-7, 16 bytes each
//	160 xmm0-15
const ntXState = 0x202

// legacyArea is the FXSAVE area of a thread, nil if it has none.
func legacyArea(notes Notes) []byte {
	if b := cut(notes(ntXState), 0, 512); b != nil {
		return b
	}
	return cut(notes(ntFPRegSet), 0, 512)
}

func legacy(off, size int) func(Notes) []byte {
	return func(notes Notes) []byte { return cut(legacyArea(notes), off, size) }
}

func legacyRegs(name string, count, bits int, typ string, base int) []reg {
	regs := make([]reg, count)
	for i := range regs {
		regs[i] = reg{name: fmt.Sprintf(name, i), bits: bits, typ: typ, value: legacy(base+16*i, bits/8)}
	}
	return regs
}

// x87Registers are st0-7 and the eight control registers, each of which gdb
// shows in 32 bits.
func x87Registers() []reg {
	half := func(off int, mask uint16) func(Notes) []byte {
		return func(notes Notes) []byte {
			b := cut(legacyArea(notes), off, 2)
			if b == nil {
				return nil
			}
			return wide(binary.LittleEndian.Uint16(b) & mask)
		}
	}
	regs := legacyRegs("st%d", 8, 80, "i387_ext", 32)
	for _, r := range []struct {
		name  string
		value func(Notes) []byte
	}{
		{"fctrl", half(0, 0xffff)},
		{"fstat", half(2, 0xffff)},
		{"ftag", func(notes Notes) []byte {
			if b := legacyArea(notes); b != nil {
				return wide(fullTags(b))
			}
			return nil
		}},
		{"fiseg", half(12, 0xffff)},
		{"fioff", legacy(8, 4)},
		{"foseg", half(20, 0xffff)},
		{"fooff", legacy(16, 4)},
		{"fop", half(6, 0x7ff)},
	} {
		regs = append(regs, reg{name: r.name, bits: 32, typ: "int", group: "float", value: r.value})
	}
	return regs
}

func wide(v uint16) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

// fullTags makes the tag word of FSAVE, two bits a register, out of FXSAVE's,
// one bit a register (Intel SDM vol. 1, table 10-3): 0 valid, 1 zero,
// 2 special, 3 empty. Tags are of physical registers, values of those on the
// stack.
func fullTags(area []byte) uint16 {
	top := int(binary.LittleEndian.Uint16(area[2:])>>11) & 7
	var tags uint16
	for phys := range 8 {
		tag := uint16(3)
		if area[4]>>phys&1 != 0 {
			tag = floatTag(area[32+16*((phys+8-top)%8):])
		}
		tags |= tag << (2 * phys)
	}
	return tags
}

// floatTag classifies an 80-bit float.
func floatTag(b []byte) uint16 {
	mantissa := binary.LittleEndian.Uint64(b)
	exponent := binary.LittleEndian.Uint16(b[8:]) & 0x7fff
	switch {
	case exponent == 0 && mantissa == 0:
		return 1
	case exponent == 0 || exponent == 0x7fff || mantissa>>63 == 0:
		return 2
	}
	return 0
}
