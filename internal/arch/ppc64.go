package arch

import "encoding/binary"

// Notes of Power (include/uapi/linux/elf.h).
const (
	ntPPCVMX = 0x100 // vr0-31, vscr in a vector's last word, vrsave
	ntPPCVSX = 0x102 // right halves of vs0-31, whose left ones are f0-31
)

// ppc64 describes 64-bit Power under Linux: struct pt_regs at 112 in
// NT_PRSTATUS (32 general registers, nip, msr, orig_gpr3, ctr, link, xer, ccr,
// softe, trap), 32 doubles and fpscr in NT_FPREGSET.
func ppc64(order binary.ByteOrder, notes Notes) *Host {
	word := func(i int) func(Notes) []byte { return field(ntPRStatus, 112+8*i, 8) }
	half := func(i int) func(Notes) []byte { return low(order, ntPRStatus, 112+8*i) }
	core := append(ranged("r%d", 0, 32, 64, "uint64", ntPRStatus, 112, 8),
		reg{name: "pc", bits: 64, typ: "code_ptr", value: word(32)},
		reg{name: "msr", bits: 64, typ: "uint64", value: word(33)},
		reg{name: "cr", bits: 32, typ: "uint32", value: half(38)},
		reg{name: "lr", bits: 64, typ: "code_ptr", value: word(36)},
		reg{name: "ctr", bits: 64, typ: "uint64", value: word(35)},
		reg{name: "xer", bits: 32, typ: "uint32", value: half(37)},
	)
	fpu := append(ranged("f%d", 0, 32, 64, "ieee_double", ntFPRegSet, 0, 8),
		reg{name: "fpscr", bits: 64, typ: "int", group: "float", value: field(ntFPRegSet, 256, 8)})
	h := &Host{
		gdbName: "powerpc:common64", order: order, plain: len(core) + len(fpu),
		tp: word(13),
		features: []feature{
			{name: "org.gnu.gdb.power.core", regs: core},
			{name: "org.gnu.gdb.power.fpu", regs: fpu},
			{name: "org.gnu.gdb.power.linux", regs: []reg{
				{name: "orig_r3", bits: 64, typ: "int", value: word(34)},
				{name: "trap", bits: 64, typ: "int", value: word(40)},
			}},
		},
	}
	if notes(ntPPCVMX) == nil {
		return h
	}
	vscr := 32 * 16
	if order == binary.BigEndian {
		vscr += 12
	}
	h.features = append(h.features, feature{
		name: "org.gnu.gdb.power.altivec",
		types: []regType{
			vector("v4f", "ieee_single", 4), vector("v2d", "ieee_double", 2), vector("v4i32", "int32", 4),
			vector("v8i16", "int16", 8), vector("v16i8", "int8", 16),
			union("vec128", "uint128", "uint128", "v2_double", "v2d", "v4_float", "v4f", "v4_int32", "v4i32", "v8_int16", "v8i16",
				"v16_int8", "v16i8"),
		},
		regs: append(ranged("vr%d", 0, 32, 128, "vec128", ntPPCVMX, 0, 16),
			reg{name: "vscr", bits: 32, typ: "int", group: "vector", value: field(ntPPCVMX, vscr, 4)},
			reg{name: "vrsave", bits: 32, typ: "int", group: "vector", value: field(ntPPCVMX, 33*16, 4)}),
	})
	if notes(ntPPCVSX) != nil {
		h.features = append(h.features, feature{
			name: "org.gnu.gdb.power.vsx", regs: ranged("vs%dh", 0, 32, 64, "uint64", ntPPCVSX, 0, 8),
		})
	}
	return h
}
