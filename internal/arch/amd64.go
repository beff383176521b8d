package arch

import "encoding/binary"

// amd64 describes x86-64 under Linux. What goes beyond SSE is there if the
// processor's XSAVE area is.
func amd64(notes Notes) *Host {
	core := feature{name: "org.gnu.gdb.i386.core", types: []regType{eflags}}
	for _, r := range []struct {
		name, typ string
		bits, at  int // at: index in struct user_regs_struct
	}{
		{"rax", "int64", 64, 10}, {"rbx", "int64", 64, 5}, {"rcx", "int64", 64, 11}, {"rdx", "int64", 64, 12},
		{"rsi", "int64", 64, 13}, {"rdi", "int64", 64, 14}, {"rbp", "data_ptr", 64, 4}, {"rsp", "data_ptr", 64, 19},
		{"r8", "int64", 64, 9}, {"r9", "int64", 64, 8}, {"r10", "int64", 64, 7}, {"r11", "int64", 64, 6},
		{"r12", "int64", 64, 3}, {"r13", "int64", 64, 2}, {"r14", "int64", 64, 1}, {"r15", "int64", 64, 0},
		{"rip", "code_ptr", 64, 16}, {"eflags", "i386_eflags", 32, 18}, {"cs", "int32", 32, 17}, {"ss", "int32", 32, 20},
		{"ds", "int32", 32, 23}, {"es", "int32", 32, 24}, {"fs", "int32", 32, 25}, {"gs", "int32", 32, 26},
	} {
		core.regs = append(core.regs, reg{name: r.name, bits: r.bits, typ: r.typ, value: userReg(r.at, r.bits)})
	}
	core.regs = append(core.regs, x87Registers()...)
	sse := feature{name: "org.gnu.gdb.i386.sse", types: append(vec128Types(), mxcsr)}
	sse.regs = append(legacyRegs("xmm%d", 16, 128, "vec128", 160), reg{
		name: "mxcsr", bits: 32, typ: "i386_mxcsr", group: "vector", value: legacy(24, 4),
	})
	h := &Host{
		gdbName: "i386:x86-64",
		order:   binary.LittleEndian,
		plain:   len(core.regs) + len(sse.regs),
		tp:      userReg(21, 64),
		features: []feature{
			core, sse,
			{name: "org.gnu.gdb.i386.linux", regs: []reg{{name: "orig_rax", bits: 64, typ: "int", value: userReg(15, 64)}}},
			{name: "org.gnu.gdb.i386.segments", regs: []reg{
				{name: "fs_base", bits: 64, typ: "int", value: userReg(21, 64)},
				{name: "gs_base", bits: 64, typ: "int", value: userReg(22, 64)},
			}},
		},
	}
	h.features = append(h.features, xsaveFeatures(notes)...)
	return h
}

// userReg is a word of struct user_regs_struct (asm/user_64.h), which lies at
// 112 in NT_PRSTATUS.
func userReg(index, bits int) func(Notes) []byte {
	return field(ntPRStatus, 112+8*index, bits/8)
}

// eflags has the flags gdb names; bit 1 is always set.
var eflags = flags("i386_eflags",
	bit("CF", 0), bit("", 1), bit("PF", 2), bit("AF", 4), bit("ZF", 6), bit("SF", 7), bit("TF", 8), bit("IF", 9),
	bit("DF", 10), bit("OF", 11), bit("NT", 14), bit("RF", 16), bit("VM", 17), bit("AC", 18), bit("VIF", 19),
	bit("VIP", 20), bit("ID", 21))

var mxcsr = flags("i386_mxcsr",
	bit("IE", 0), bit("DE", 1), bit("ZE", 2), bit("OE", 3), bit("UE", 4), bit("PE", 5), bit("DAZ", 6),
	bit("IM", 7), bit("DM", 8), bit("ZM", 9), bit("OM", 10), bit("UM", 11), bit("PM", 12), bit("FZ", 15))

// vec128Types are the ways to see an SSE register, as gdb 12 and later have
// them.
func vec128Types() []regType {
	return []regType{
		vector("v8bf16", "bfloat16", 8),
		vector("v8h", "ieee_half", 8),
		vector("v4f", "ieee_single", 4),
		vector("v2d", "ieee_double", 2),
		vector("v16i8", "int8", 16),
		vector("v8i16", "int16", 8),
		vector("v4i32", "int32", 4),
		vector("v2i64", "int64", 2),
		union("vec128", "v8_bfloat16", "v8bf16", "v8_half", "v8h", "v4_float", "v4f", "v2_double", "v2d",
			"v16_int8", "v16i8", "v8_int16", "v8i16", "v4_int32", "v4i32", "v2_int64", "v2i64", "uint128", "uint128"),
	}
}
