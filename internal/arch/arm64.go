package arch

import "encoding/binary"

// Notes of arm64 (include/uapi/linux/elf.h).
const (
	ntARMTLS     = 0x401 // tpidr_el0
	ntARMPACMask = 0x406 // masks of signed pointers: data, code
)

// arm64 describes AArch64 under Linux: struct user_pt_regs at 112 in
// NT_PRSTATUS (x0-30, sp, pc, pstate), struct user_fpsimd_state in NT_FPREGSET
// (v0-31, fpsr, fpcr).
func arm64(order binary.ByteOrder, notes Notes) *Host {
	core := feature{name: "org.gnu.gdb.aarch64.core", types: []regType{cpsr}}
	core.regs = append(ranged("x%d", 0, 31, 64, "int", ntPRStatus, 112, 8),
		reg{name: "sp", bits: 64, typ: "data_ptr", value: field(ntPRStatus, 112+31*8, 8)},
		reg{name: "pc", bits: 64, typ: "code_ptr", value: field(ntPRStatus, 112+32*8, 8)},
		reg{name: "cpsr", bits: 32, typ: "cpsr_flags", value: low(order, ntPRStatus, 112+33*8)},
	)
	fpu := arm64Vectors()
	if sve, ok := sveOf(order, notes(ntARMSVE)); ok {
		fpu = sve.feature()
	}
	h := &Host{
		gdbName: "aarch64", order: order, plain: len(core.regs) + len(fpu.regs),
		tp: field(ntARMTLS, 0, 8), features: []feature{core, fpu},
	}
	if notes(ntARMPACMask) != nil {
		h.features = append(h.features, feature{name: "org.gnu.gdb.aarch64.pauth", regs: []reg{
			{name: "pauth_dmask", bits: 64, typ: "int", value: field(ntARMPACMask, 0, 8)},
			{name: "pauth_cmask", bits: 64, typ: "int", value: field(ntARMPACMask, 8, 8)},
		}})
	}
	if notes(ntARMTLS) != nil {
		h.features = append(h.features, feature{name: "org.gnu.gdb.aarch64.tls", regs: []reg{
			{name: "tpidr", bits: 64, typ: "data_ptr", value: field(ntARMTLS, 0, 8)},
		}})
	}
	return h
}

// cpsr is PSTATE as Linux stores it (Arm ARM, C5.2.19 SPSR_EL1).
var cpsr = flags("cpsr_flags",
	bit("SP", 0), typeField{"EL", "uint8", 2, 3}, bit("nRW", 4), bit("F", 6), bit("I", 7), bit("A", 8), bit("D", 9),
	typeField{"BTYPE", "uint8", 10, 11}, bit("SSBS", 12), bit("IL", 20), bit("SS", 21), bit("PAN", 22), bit("UAO", 23),
	bit("DIT", 24), bit("TCO", 25), bit("V", 28), bit("C", 29), bit("Z", 30), bit("N", 31))

// fpsr and fpcr are the status and control registers of floating point (Arm
// ARM, C5.2.8 and C5.2.10).
var (
	fpsr = flags("fpsr_flags",
		bit("IOC", 0), bit("DZC", 1), bit("OFC", 2), bit("UFC", 3), bit("IXC", 4), bit("", 5), bit("", 6), bit("IDC", 7),
		bit("QC", 27), bit("V", 28), bit("C", 29), bit("Z", 30), bit("N", 31))
	fpcr = flags("fpcr_flags",
		bit("FIZ", 0), bit("AH", 1), bit("NEP", 2), bit("", 3), bit("IOE", 8), bit("DZE", 9), bit("OFE", 10), bit("UFE", 11), bit("IXE", 12),
		bit("EBF", 13), bit("", 14), bit("IDE", 15), typeField{"Len", "uint8", 16, 18}, bit("FZ16", 19), typeField{"Stride", "uint8", 20, 21},
		typeField{"RMode", "uint8", 22, 23}, bit("FZ", 24), bit("DN", 25), bit("AHP", 26))
)

// arm64Vectors are the vector registers of 128 bits, and the ways to see one.
func arm64Vectors() feature {
	types := []regType{
		vector("v2d", "ieee_double", 2), vector("v2u", "uint64", 2), vector("v2i", "int64", 2),
		vector("v4f", "ieee_single", 4), vector("v4u", "uint32", 4), vector("v4i", "int32", 4),
		vector("v8bf16", "bfloat16", 8), vector("v8f", "ieee_half", 8), vector("v8u", "uint16", 8), vector("v8i", "int16", 8),
		vector("v16u", "uint8", 16), vector("v16i", "int8", 16),
		vector("v1u", "uint128", 1), vector("v1i", "int128", 1),
		union("vnd", "f", "v2d", "u", "v2u", "s", "v2i"),
		union("vns", "f", "v4f", "u", "v4u", "s", "v4i"),
		union("vnh", "bf", "v8bf16", "f", "v8f", "u", "v8u", "s", "v8i"),
		union("vnb", "u", "v16u", "s", "v16i"),
		union("vnq", "u", "v1u", "s", "v1i"),
		union("aarch64v", "d", "vnd", "s", "vns", "h", "vnh", "b", "vnb", "q", "vnq"),
		fpsr, fpcr,
	}
	return feature{name: "org.gnu.gdb.aarch64.fpu", types: types, regs: append(ranged("v%d", 0, 32, 128, "aarch64v", ntFPRegSet, 0, 16),
		reg{name: "fpsr", bits: 32, typ: "fpsr_flags", value: field(ntFPRegSet, 512, 4)},
		reg{name: "fpcr", bits: 32, typ: "fpcr_flags", value: field(ntFPRegSet, 516, 4)},
	)}
}
