package arch

import "encoding/binary"

// FXSave is the 512 bytes that FXSAVE writes. What X86FPU does not know is
// zero: the last instruction and its operand, the mask of MXCSR.
func (f *X86FPU) FXSave() [512]byte {
	var b [512]byte
	le := binary.LittleEndian
	le.PutUint16(b[0:], f.Control)
	le.PutUint16(b[2:], f.Status)
	b[4] = f.Tags
	le.PutUint32(b[24:], f.MXCSR)
	for i, st := range f.ST {
		copy(b[32+16*i:], st[:])
	}
	for i, v := range f.Vectors[:min(16, len(f.Vectors))] {
		copy(b[160+16*i:], v[:16])
	}
	return b
}

// FSave is the 108 bytes that FSAVE writes in 32-bit protected mode (Intel SDM
// vol. 1, 8.1.10): control, status and tags in words of four bytes, then the
// last instruction and its operand, which are zero here, then st0-7.
func (f *X86FPU) FSave() [108]byte {
	var b [108]byte
	le := binary.LittleEndian
	const reserved = 0xffff_0000 // set in the words that hold 16 bits
	area := f.FXSave()
	le.PutUint32(b[0:], reserved|uint32(f.Control))
	le.PutUint32(b[4:], reserved|uint32(f.Status))
	le.PutUint32(b[8:], reserved|uint32(fullTags(area[:])))
	for i, st := range f.ST {
		copy(b[28+10*i:], st[:])
	}
	return b
}
