package vboxfile

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// What an XSAVE area holds of the vectors, by the bit in its header and where
// the standard form on an Intel processor has it (Intel SDM vol. 1, 13.4).
var vectorParts = []struct {
	bit         int
	at, size    int // in the area: of each vector
	first, from int // the first vector; the first byte of it
}{
	{1, 160, 16, 0, 0},
	{2, 576, 16, 0, 16},
	{6, 1152, 32, 0, 32},
	{7, 1664, 64, 16, 0},
}

// fpu reads an FXSAVE or XSAVE area, nil for an empty one. A part that is not
// marked in the header, or whose place is not in the area, is as a processor
// has it after a reset.
func fpu(area []byte, wide bool) *arch.X86FPU {
	if len(area) < 512 {
		return nil
	}
	has := uint64(3) // FXSAVE has these two
	if len(area) >= 576 {
		if marked := binary.LittleEndian.Uint64(area[512:]); marked != 0 {
			has = marked
		}
	}
	f := &arch.X86FPU{Control: 0x37f, MXCSR: binary.LittleEndian.Uint32(area[24:])}
	if has&1 != 0 {
		f.Control, f.Status, f.Tags = binary.LittleEndian.Uint16(area), binary.LittleEndian.Uint16(area[2:]), area[4]
		for i := range f.ST {
			copy(f.ST[i][:], area[32+16*i:])
		}
	}
	n := 8
	switch {
	case wide && has>>7&1 != 0 && len(area) >= 1664+16*64:
		n = 32
	case wide:
		n = 16
	}
	f.Vectors = make([][64]byte, n)
	for _, p := range vectorParts {
		if has>>p.bit&1 == 0 || len(area) < p.at+16*p.size {
			continue
		}
		for i := 0; i < 16 && p.first+i < n; i++ {
			copy(f.Vectors[p.first+i][p.from:], area[p.at+i*p.size:][:p.size])
		}
	}
	return f
}
