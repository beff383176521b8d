package arch

import "encoding/binary"

// Notes of s390 (include/uapi/linux/elf.h).
const (
	ntS390LastBreak  = 0x306
	ntS390SystemCall = 0x307
	ntS390VXLow      = 0x309 // right halves of v0-15, whose left ones are f0-15
	ntS390VXHigh     = 0x30a // v16-31
)

// s390x describes z/Architecture under Linux: s390_regs at 112 in NT_PRSTATUS
// (psw mask and address, 16 general, 16 access registers, orig_gpr2), fpc and
// 16 doubles in NT_FPREGSET.
func s390x(notes Notes) *Host {
	const regs = 112
	core := grouped("psw", []reg{
		{name: "pswm", bits: 64, typ: "uint64", value: field(ntPRStatus, regs, 8)},
		{name: "pswa", bits: 64, typ: "uint64", value: field(ntPRStatus, regs+8, 8)},
	})
	core = append(core, grouped("general", ranged("r%d", 0, 16, 64, "uint64", ntPRStatus, regs+16, 8))...)
	acr := grouped("access", ranged("acr%d", 0, 16, 32, "uint32", ntPRStatus, regs+144, 4))
	fpr := []reg{{name: "fpc", bits: 32, typ: "uint32", value: field(ntFPRegSet, 0, 4)}}
	fpr = grouped("float", append(fpr, ranged("f%d", 0, 16, 64, "ieee_double", ntFPRegSet, 8, 8)...))
	linux := []reg{{name: "orig_r2", bits: 64, typ: "uint64", value: field(ntPRStatus, regs+208, 8)}}
	if notes(ntS390LastBreak) != nil {
		linux = append(linux, reg{name: "last_break", bits: 64, typ: "code_ptr", value: field(ntS390LastBreak, 0, 8)})
	}
	if notes(ntS390SystemCall) != nil {
		linux = append(linux, reg{name: "system_call", bits: 32, typ: "uint32", value: field(ntS390SystemCall, 0, 4)})
	}
	h := &Host{
		gdbName: "s390:64-bit", order: binary.BigEndian,
		plain: len(core) + len(acr) + len(fpr),
		tp:    field(ntPRStatus, regs+144, 8), // acr0 and acr1
		features: []feature{
			{name: "org.gnu.gdb.s390.core", regs: core},
			{name: "org.gnu.gdb.s390.acr", regs: acr},
			{name: "org.gnu.gdb.s390.fpr", regs: fpr},
			{name: "org.gnu.gdb.s390.linux", regs: grouped("system", linux)},
		},
	}
	if notes(ntS390VXLow) != nil && notes(ntS390VXHigh) != nil {
		h.features = append(h.features, feature{
			name: "org.gnu.gdb.s390.vx",
			types: []regType{
				vector("v4f", "ieee_single", 4), vector("v2d", "ieee_double", 2), vector("v16i8", "int8", 16),
				vector("v8i16", "int16", 8), vector("v4i32", "int32", 4), vector("v2i64", "int64", 2),
				union("vec128", "v4_float", "v4f", "v2_double", "v2d", "v16_int8", "v16i8", "v8_int16", "v8i16",
					"v4_int32", "v4i32", "v2_int64", "v2i64", "uint128", "uint128"),
			},
			regs: append(ranged("v%dl", 0, 16, 64, "uint64", ntS390VXLow, 0, 8),
				ranged("v%d", 16, 16, 128, "vec128", ntS390VXHigh, 0, 16)...),
		})
	}
	return h
}
