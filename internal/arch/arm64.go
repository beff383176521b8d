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
	fpu := feature{name: "org.gnu.gdb.aarch64.fpu", types: arm64Vectors()}
	fpu.regs = append(ranged("v%d", 0, 32, 128, "aarch64v", ntFPRegSet, 0, 16),
		reg{name: "fpsr", bits: 32, typ: "int", value: field(ntFPRegSet, 512, 4)},
		reg{name: "fpcr", bits: 32, typ: "int", value: field(ntFPRegSet, 516, 4)},
	)
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

// arm64Vectors are the ways to see a vector register.
func arm64Vectors() []regType {
	return []regType{
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
	}
}
