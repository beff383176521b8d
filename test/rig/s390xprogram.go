package rig

import (
	"debug/elf"
	"encoding/binary"
)

// S390XProgram sets what its dump has notes for but guarded storage, which TCG does not have. The PSW it loads first has
// condition code 1. The last instruction of those that set registers, or some in its place, give another one, which TCG works
// out only when asked.
func S390XProgram(last ...byte) Program {
	if last == nil {
		last = []byte{0xb9, 0x08, 0, 0x23} // AGR r2,r3 overflows: condition code 3
	}
	const at = 0x2000 // not 0x10000: QEMU takes that for Linux and puts parameters there
	order := binary.BigEndian
	var code []byte
	emit := func(b ...byte) { code = append(code, b...) }

	// The table lies behind the code: PSW, registers by group.
	const (
		table   = 0x100
		psw     = 0
		control = psw + 16
		access  = control + 16*8
		general = access + 16*4
		vector  = general + 16*8
		fpc     = vector + 32*16
		timer   = fpc + 8
		compare = timer + 8
		prefix  = compare + 8
		done    = prefix + 8
		size    = done + 8
	)
	// From here on registers 1 is the table's address; operands are D(R1).
	rs := func(d int) (byte, byte) { return byte(0x10 | d>>8), byte(d) }
	s := func(op uint16, d int) { // one operand in storage
		hi, lo := rs(d)
		emit(byte(op>>8), byte(op), hi, lo)
	}
	rsy := func(op byte, d int) { // LMG, LCTLG of registers 0 to 15
		hi, lo := rs(d)
		emit(0xeb, 0x0f, hi, lo, 0, op)
	}
	vlm := func(regs, rxb byte, d int) { // 16 vector registers
		hi, lo := rs(d)
		emit(0xe7, regs, hi, lo, rxb, 0x36)
	}

	emit(0xc0, 0x10, 0, 0, 0, table/2) // LARL r1
	s(0xb2b2, psw)                     // LPSWE, goes on behind itself
	next := uint64(at + len(code))
	rsy(0x2f, control)                       // LCTLG
	vlm(0x0f, 0, vector)                     // VLM v0,v15
	vlm(0x0f, 0xc, vector+256)               // VLM v16,v31
	s(0xb29d, fpc)                           // LFPC
	s(0xb208, timer)                         // SPT
	s(0xb206, compare)                       // SCKC
	s(0xb210, prefix)                        // SPX
	emit(0xa7, 0x09, 0x12, 0x34, 0x01, 0x07) // LGHI r0; SCKPF: the TOD programmable register is r0's low half
	hi, lo := rs(access)
	emit(0x9a, 0x0f, hi, lo) // LAM
	rsy(0x04, general)       // LMG, overwrites r1
	emit(last...)
	far := (table + done - len(code)) / 2
	emit(0xc4, 0x0f, 0, 0, byte(far>>8), byte(far)) // STRL r0
	emit(0xa7, 0xf4, 0, 0)                          // J to itself

	data := pattern(order, size/8)
	put := func(at int, v ...uint64) {
		for i, v := range v {
			order.PutUint64(data[at+8*i:], v)
		}
	}
	const (
		cc1   = 1 << 44
		wide  = 0x180000000 // 64-bit addresses
		afp   = 0x40000     // of control register 0: all floating-point registers
		vecs  = 0x20000     // vector registers
		large = 0x7000000000000000
	)
	put(psw, cc1|wide, next)
	put(control, afp|vecs)
	put(general+2*8, large+0x1111, large+0x2222)
	order.PutUint32(data[fpc:], 0x00f80002) // flags, rounding to +infinity
	put(timer, 0x7123456789abcdef)          // far from 0, from where on it would interrupt
	put(compare, 0xfedcba9876543210)
	order.PutUint32(data[prefix:], 0x100000)

	if len(code) > table {
		panic("rig: the s390x program runs into its table")
	}
	image := append(append(code, make([]byte, table-len(code))...), data...)
	return Program{
		Args: []string{"-machine", "s390-ccw-virtio", "-m", "64M", "-kernel", "program"},
		File: "program", Image: kernel(elf.EM_S390, order, at, image),
		Done: at + table + done, DoneValue: order.Uint32(data[general+4:]),
	}
}
