package rig

// LoongArchProgram sets what its dump has notes for, on the first of two processors; the other one stays as it was reset. No firmware
// is at the address where they start: QEMU's loader sets the first one's program counter.
func LoongArchProgram() Program {
	const (
		at   = 0x200000
		done = 0x300000
		euen = 0x2
		era  = 0x6
		badv = 0x7
	)
	var c code
	mov := func(reg uint32, v uint64) {
		c.add(0x14000000|uint32(v>>12&0xfffff)<<5|reg, // lu12i.w
			0x03800000|uint32(v&0xfff)<<10|reg<<5|reg,     // ori
			0x16000000|uint32(v>>32&0xfffff)<<5|reg,       // lu32i.d
			0x03000000|uint32(v>>52&0xfff)<<10|reg<<5|reg) // lu52i.d
	}
	csr := func(n uint32, v uint64) {
		mov(4, v)
		c.add(0x04000020 | n<<10 | 4) // csrwr
	}
	csr(euen, 1) // floating point
	csr(era, Value(0, valueTable0))
	csr(badv, Value(0, valueTable1))
	for n := range uint32(32) {
		mov(4, Value(0, valueVector+int(n)))
		c.add(0x0114a800 | 4<<5 | n) // movgr2fr.d
	}
	for n := range uint32(8) {
		mov(4, uint64(0xb5>>n&1))
		c.add(0x0114d800 | 4<<5 | n) // movgr2cf
	}
	mov(4, 0x0a150315)
	c.add(0x0114c000 | 4<<5) // movgr2fcsr
	for n := range uint32(32) {
		mov(n, Value(0, int(n)))
	}
	mov(4, done)
	mov(5, allDone)
	c.add(0x29800000 | 4<<5 | 5) // st.w
	mov(5, Value(0, 5))
	mov(4, Value(0, 4))
	c.add(0x50000000) // b .
	return Program{
		Args: []string{"-machine", "virt", "-m", "64M", "-device", "loader,file=program,addr=0x200000,force-raw=on",
			"-device", "loader,addr=0x200000,cpu-num=0"},
		File: "program", Image: c.padded(0x1000), Done: done, DoneValue: allDone,
	}
}
