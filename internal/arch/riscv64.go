package arch

import (
	"encoding/binary"
	"strings"
)

// riscv64 describes 64-bit RISC-V under Linux: struct user_regs_struct at 112
// in NT_PRSTATUS (pc, x1-31), 32 doubles and fcsr in NT_FPREGSET.
func riscv64() *Host {
	pointers := map[string]string{"ra": "code_ptr", "sp": "data_ptr", "gp": "data_ptr", "tp": "data_ptr", "fp": "data_ptr"}
	zero := make([]byte, 8)
	cpu := []reg{{name: "zero", bits: 64, typ: "int", value: func(Notes) []byte { return zero }}}
	for i, name := range strings.Fields("ra sp gp tp t0 t1 t2 fp s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6") {
		typ := "int"
		if p, ok := pointers[name]; ok {
			typ = p
		}
		cpu = append(cpu, reg{name: name, bits: 64, typ: typ, value: field(ntPRStatus, 112+8*(i+1), 8)})
	}
	cpu = append(cpu, reg{name: "pc", bits: 64, typ: "code_ptr", value: field(ntPRStatus, 112, 8)})
	var fpu []reg
	for i, name := range strings.Fields("ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11") {
		fpu = append(fpu, reg{name: name, bits: 64, typ: "riscv_double", value: field(ntFPRegSet, 8*i, 8)})
	}
	fcsr := func(shift int, mask uint32) func(Notes) []byte {
		return func(notes Notes) []byte {
			b := cut(notes(ntFPRegSet), 256, 4)
			if b == nil {
				return nil
			}
			return binary.LittleEndian.AppendUint32(nil, binary.LittleEndian.Uint32(b)>>shift&mask)
		}
	}
	fpu = append(fpu,
		reg{name: "fflags", bits: 32, typ: "int", value: fcsr(0, 0x1f)},
		reg{name: "frm", bits: 32, typ: "int", value: fcsr(5, 7)},
		reg{name: "fcsr", bits: 32, typ: "int", value: fcsr(0, ^uint32(0))})
	return &Host{
		gdbName: "riscv:rv64", order: binary.LittleEndian, plain: len(cpu),
		tp: field(ntPRStatus, 112+8*4, 8),
		features: []feature{
			{name: "org.gnu.gdb.riscv.cpu", regs: cpu},
			{name: "org.gnu.gdb.riscv.fpu",
				types: []regType{union("riscv_double", "float", "ieee_single", "double", "ieee_double")}, regs: fpu},
		},
	}
}
