package arch

import "encoding/binary"

// ppc64 describes 64-bit Power under Linux: struct pt_regs at 112 in
// NT_PRSTATUS (32 general registers, nip, msr, orig_gpr3, ctr, link, xer, ccr,
// softe, trap), 32 doubles and fpscr in NT_FPREGSET.
func ppc64(order binary.ByteOrder) *Host {
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
	return &Host{
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
}
