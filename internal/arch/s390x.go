package arch

import "encoding/binary"

// Notes of s390 (include/uapi/linux/elf.h).
const (
	ntS390LastBreak  = 0x306
	ntS390SystemCall = 0x307
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
	return &Host{
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
}
