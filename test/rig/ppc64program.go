package rig

import (
	"encoding/binary"
	"math/bits"
)

// PPC64Program sets what its dump has notes for. It runs on pseries in the place of the firmware. Little-endian, it asks the
// hypervisor to take interrupts so, as Linux does, and goes on in that byte order.
func PPC64Program(little bool) Program {
	const (
		entry = 0x100
		main  = 0x1000
		table = 0x2000
		done  = 0xff8
	)
	image := make([]byte, table)
	var order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	} = binary.BigEndian
	at := entry
	emit := func(words ...uint32) {
		for _, w := range words {
			order.PutUint32(image[at:], w)
			at += 4
		}
	}
	// Instructions by their formats. Addresses here are below 32768, so that one ADDI makes them.
	li := func(r, v uint32) uint32 { return 14<<26 | r<<21 | v }
	mtspr := func(n, r uint32) uint32 { return 31<<26 | r<<21 | n&31<<16 | n>>5<<11 | 467<<1 }
	ld := func(r, base, d uint32) uint32 { return 58<<26 | r<<21 | base<<16 | d }

	const (
		srr0, srr1 = 26, 27
		rfid       = 19<<26 | 18<<1
		mfmsr5     = 31<<26 | 5<<21 | 83<<1
	)
	if little {
		emit(li(3, 0x31c), li(4, 1), li(5, 4), li(6, 0), li(7, 0), // H_SET_MODE, byte order of interrupts, little
			17<<26|1<<5|2,                                // sc 1
			mfmsr5, 24<<26|5<<21|5<<16|1, mtspr(srr1, 5), // MSR.LE
			li(6, main), mtspr(srr0, 6), rfid)
		order = binary.LittleEndian
	} else {
		emit(18<<26 | (main - entry)) // b
	}

	at = main
	emit(mfmsr5,
		25<<26|5<<21|5<<16|0x0280,                     // oris: VEC, VSX
		24<<26|5<<21|5<<16|0x2000,                     // ori: FP
		li(6, 1), 30<<26|6<<21|6<<16|31<<11|1<<2|1<<1, // sldi r6,r6,63: SF
		31<<26|5<<21|5<<16|6<<11|444<<1, // or
		31<<26|5<<21|178<<1,             // mtmsrd
		li(4, table))
	const (
		general = 64 * 16 // behind the vector-scalar registers
		fpscr   = general + 32*8
		vscr    = fpscr + 16 // a multiple of 16
		others  = vscr + 16  // XER, LR, CTR, VRSAVE, CR
		size    = others + 6*8
	)
	emit(50<<26|4<<16|fpscr, 63<<26|0xff<<17|711<<1)         // lfd f0; mtfsf
	emit(li(6, table+vscr), 31<<26|6<<11|103<<1, 4<<26|1604) // lvx v0,0,r6; mtvscr v0
	for i, n := range []uint32{1, 8, 9, 256} {
		emit(ld(7, 4, uint32(others+8*i)), mtspr(n, 7))
	}
	emit(ld(7, 4, others+4*8), 31<<26|7<<21|0xff<<12|144<<1) // mtcrf
	for i := range uint32(64) {
		emit(31<<26|i&31<<21|4<<11|844<<1|i>>5, // lxvd2x vs i,0,r4
			14<<26|4<<21|4<<16|16) // addi r4,r4,16
	}
	for i := range uint32(32) { // r4 last, which is the base
		if i != 4 {
			emit(ld(i, 4, 8*i))
		}
	}
	emit(ld(4, 4, 8*4), 31<<26|3<<21|3<<16|4<<11|1<<10|10<<1|1) // addco. r3,r3,r4
	emit(36<<26|3<<21|done, 18<<26)                             // stw r3,done; b to itself

	data := pattern(order, size/8)
	put := func(at int, v uint64) { order.PutUint64(data[at:], v) }
	put(fpscr, 0x9f8c0002) // results of an instruction, rounding to +infinity, no exception enabled
	put(general+3*8, 1<<63|0x80001111)
	put(general+4*8, 1<<63|0x80002222) // the sum overflows and carries, in 32 bits too
	put(others, 0x2000007f)            // XER: CA, count of bytes
	put(others+4*8, 0x12345678)        // CR
	// VSCR is the lowest word of a vector: NJ and SAT.
	clear(data[vscr : vscr+16])
	if little {
		order.PutUint32(data[vscr:], 0x10001)
	} else {
		order.PutUint32(data[vscr+12:], 0x10001)
	}
	const sum = 0x3333
	p := Program{
		Args: []string{"-machine", "pseries", "-m", "256M", "-bios", "program"},
		File: "program", Image: append(image, data...),
		Done: done, DoneValue: sum,
	}
	if little {
		p.DoneValue = bits.ReverseBytes32(sum)
	}
	return p
}
