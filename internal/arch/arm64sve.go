package arch

import "encoding/binary"

// ntARMSVE is struct user_sve_header and the registers behind it
// (Linux, arch/arm64/include/uapi/asm/ptrace.h).
const ntARMSVE = 0x405

// sve is where the registers of SVE are in a note.
type sve struct {
	vl    int  // bytes of a vector
	full  bool // the note has all of them; else the lower 128 bits, and the rest is zero
	fpsr  int
	order binary.ByteOrder
}

// sveOf reads the header of a note. ok is false if it is not one.
func sveOf(order binary.ByteOrder, note []byte) (s sve, ok bool) {
	const header, fpsimd = 16, 512 // bytes; of v0 to v31
	if len(note) < header {
		return sve{}, false
	}
	s = sve{vl: int(order.Uint16(note[8:])), full: order.Uint16(note[12:])&1 != 0, order: order, fpsr: header + fpsimd}
	if s.full {
		s.fpsr = (s.ffr() + s.vl/8 + 15) &^ 15
	}
	return s, s.vl >= 16 && s.vl <= 256 && s.vl%16 == 0 && len(note) >= s.fpsr+8
}

func (s sve) z(n int) int { return 16 + n*s.vl }
func (s sve) p(n int) int { return s.z(32) + n*s.vl/8 }
func (s sve) ffr() int    { return s.p(16) }

// at is a register of size bytes at an offset of the full note; without one,
// it is zero.
func (s sve) at(off, size int) func(Notes) []byte {
	if s.full {
		return field(ntARMSVE, off, size)
	}
	return s.zero(size)
}

func (s sve) zero(size int) func(Notes) []byte {
	return func(notes Notes) []byte {
		if notes(ntARMSVE) == nil {
			return nil
		}
		return make([]byte, size)
	}
}

// short is a vector of which the note has the lower 128 bits.
func (s sve) short(n int) func(Notes) []byte {
	return func(notes Notes) []byte {
		v := cut(notes(ntARMSVE), 16+16*n, 16)
		if v == nil {
			return nil
		}
		return append(v[:16:16], make([]byte, s.vl-16)...)
	}
}

// feature describes the registers for gdb, which takes the length from vg.
func (s sve) feature() feature {
	n := s.vl / 16
	f := feature{name: "org.gnu.gdb.aarch64.sve", types: []regType{
		vector("svevqu", "uint128", n), vector("svevqs", "int128", n),
		vector("svevdf", "ieee_double", 2*n), vector("svevdu", "uint64", 2*n), vector("svevds", "int64", 2*n),
		vector("svevsf", "ieee_single", 4*n), vector("svevsu", "uint32", 4*n), vector("svevss", "int32", 4*n),
		vector("svevhf", "ieee_half", 8*n), vector("svevhu", "uint16", 8*n), vector("svevhs", "int16", 8*n),
		vector("svevbu", "uint8", 16*n), vector("svevbs", "int8", 16*n),
		union("svevnq", "u", "svevqu", "s", "svevqs"),
		union("svevnd", "f", "svevdf", "u", "svevdu", "s", "svevds"),
		union("svevns", "f", "svevsf", "u", "svevsu", "s", "svevss"),
		union("svevnh", "f", "svevhf", "u", "svevhu", "s", "svevhs"),
		union("svevnb", "u", "svevbu", "s", "svevbs"),
		union("svev", "q", "svevnq", "d", "svevnd", "s", "svevns", "h", "svevnh", "b", "svevnb"),
		fpsr, fpcr,
		vector("svep", "uint8", 2*n),
	}}
	for i, r := range ranged("z%d", 0, 32, 8*s.vl, "svev", ntARMSVE, 16, s.vl) {
		if !s.full {
			r.value = s.short(i)
		}
		f.regs = append(f.regs, r)
	}
	f.regs = append(f.regs,
		reg{name: "fpsr", bits: 32, typ: "fpsr_flags", value: field(ntARMSVE, s.fpsr, 4)},
		reg{name: "fpcr", bits: 32, typ: "fpcr_flags", value: field(ntARMSVE, s.fpsr+4, 4)})
	for i, r := range ranged("p%d", 0, 16, s.vl, "svep", ntARMSVE, 0, 0) {
		r.value = s.at(s.p(i), s.vl/8)
		f.regs = append(f.regs, r)
	}
	return feature{f.name, f.types, append(f.regs,
		reg{name: "ffr", bits: s.vl, typ: "svep", group: "vector", value: s.at(s.ffr(), s.vl/8)},
		reg{name: "vg", bits: 64, typ: "int", value: s.length})}
}

// length is vg, in units of 64 bits.
func (s sve) length(notes Notes) []byte {
	b := cut(notes(ntARMSVE), 8, 2)
	if b == nil {
		return nil
	}
	vg := make([]byte, 8)
	s.order.PutUint64(vg, uint64(s.order.Uint16(b))/8)
	return vg
}
