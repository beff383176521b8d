package vbox

import (
	"encoding/binary"

	"guestcore/internal/arch"
)

// Components of the XSAVE area by their bits in XCR0, and where they are in
// the standard form (Intel SDM vol. 1, 13.4; as Intel's processors have it).
const (
	compX87 = 1 << iota
	compSSE
	compAVX
	_
	_
	compOpmask
	compZMMHigh
	compZMM16
	_
	compPKRU

	atHeader  = 512
	atAVX     = 576  // bytes 16 to 31 of each of 16 vectors
	atZMMHigh = 1152 // bytes 32 to 63 of each
	atZMM16   = 1664 // vectors 16 to 31
	endZMM16  = 2688

	areaSize = 8192 // of VirtualBox's X86XSAVEAREA
)

// xsave is the XSAVE area of a processor, and how much of it there is: none if
// it is not known.
func xsave(s *arch.X86) (area [areaSize]byte, size int) {
	f := s.FPU
	if f == nil {
		return area, 0
	}
	legacy := f.FXSave()
	copy(area[:], legacy[:])
	components, size := uint64(compX87|compSSE), atAVX
	if has(s, compAVX, 16, 32) {
		components, size = components|compAVX, atAVX+16*16
		for i, v := range low(f) {
			copy(area[atAVX+16*i:], v[16:32])
		}
	}
	if has(s, compZMMHigh, 32, 64) {
		components, size = components|compZMMHigh, atZMM16
		for i, v := range low(f) {
			copy(area[atZMMHigh+32*i:], v[32:])
		}
	}
	if len(f.Vectors) > 16 && (has(s, compZMM16, 32, 64) || used(f.Vectors[16:], 0, 64)) {
		components, size = components|compZMM16, endZMM16
		for i, v := range f.Vectors[16:] {
			copy(area[atZMM16+64*i:], v[:])
		}
	}
	binary.LittleEndian.PutUint64(area[atHeader:], components)
	return area, size
}

// low is the vectors that the parts of the area have room for.
func low(f *arch.X86FPU) [][64]byte { return f.Vectors[:min(16, len(f.Vectors))] }

// has reports whether there is something in the bytes from start to end of the
// vectors: the guest has switched that component on, or they are not zero.
func has(s *arch.X86, component uint64, start, end int) bool {
	return value(s.XCR0)&component != 0 || used(s.FPU.Vectors, start, end)
}

// used reports whether the bytes from start to end of any vector are not zero.
func used(vectors [][64]byte, start, end int) bool {
	for _, v := range vectors {
		for _, b := range v[start:end] {
			if b != 0 {
				return true
			}
		}
	}
	return false
}
