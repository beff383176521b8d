package windows

import (
	"encoding/binary"
	"math/bits"
)

// keys are what an encoded KDBG is decoded with: KiWaitNever, KiWaitAlways and
// the address of KdpDataBlockEncoded.
type keys struct{ never, always, flag uint64 }

// decode decodes 8 bytes, as KdCopyDataBlock does (contrib/elf2dmp/main.c, QEMU
// 7.2).
func (k keys) decode(x uint64) uint64 {
	x = bits.RotateLeft64(x^k.never, int(k.never&63))
	return bits.ReverseBytes64(x^k.flag) ^ k.always
}

// decodeKDBG finds a KDBG that the kernel keeps encoded until it crashes, as
// those of 64 bits do since Windows 8. The keys have no place that is known. But
// the kernel has a function that decodes, KdCopyDataBlock: near an instruction
// that swaps the bytes of a register, one that rotates by CL, two that load the
// address of KDBG and of the flag, and two that read the other keys. Which is
// which tells the outcome; the kernel has more such places, with other operands.
func (im *image) decodeKDBG() (found, bool) {
	if im.word != 8 {
		return found{}, false
	}
	const maxSites = 1 << 14
	sites := 0
	for at := 1; at+1 < len(im.bytes) && sites < maxSites; at++ {
		// bswap of a register of 64 bits: REX.W, 0f, c8 to cf.
		if im.bytes[at] != 0x0f || im.bytes[at+1]&0xf8 != 0xc8 || im.bytes[at-1]&0xfe != 0x48 {
			continue
		}
		from, to := max(0, at-codeBefore), min(len(im.bytes), at+codeBehind)
		if !rotates(im.bytes[from:to]) {
			continue
		}
		sites++
		if f, ok := im.tryKeys(im.operands(from, to)); ok {
			return f, true
		}
	}
	return found{}, false
}

// The function's other instructions are at most so far from its bswap, bytes:
// the copying of a KDBG that is not encoded may lie between.
const codeBefore, codeBehind = 256, 64

// rotates reports whether there is a rol of a register of 64 bits by CL: REX.W,
// d3, c0 to c7.
func rotates(code []byte) bool {
	for i := 1; i+1 < len(code); i++ {
		if code[i] == 0xd3 && code[i+1]&0xf8 == 0xc0 && code[i-1]&0xfe == 0x48 {
			return true
		}
	}
	return false
}

// operands are the RVAs that instructions have as operands relative to RIP,
// apart by what is done with them: LEA takes their addresses, MOV and XOR with
// a register of 64 bits the 8 bytes that are there.
func (im *image) operands(from, to int) (addresses, values []uint64) {
	const most = 16 // of either
	for i := from; i+7 <= to; i++ {
		if im.bytes[i]&0xfb != 0x48 || im.bytes[i+2]&0xc7 != 0x05 { // REX.W; mode 0, register 5
			continue
		}
		rva := int64(i) + 7 + int64(int32(binary.LittleEndian.Uint32(im.bytes[i+3:])))
		if rva <= 0 || rva+8 > int64(len(im.bytes)) {
			continue
		}
		switch im.bytes[i+1] {
		case 0x8d:
			addresses = append(addresses, uint64(rva))
		case 0x8b, 0x33:
			values = append(values, uint64(rva))
		}
	}
	return addresses[:min(len(addresses), most)], values[:min(len(values), most)]
}

// tryKeys tries each choice of operands for KDBG and the keys.
func (im *image) tryKeys(addresses, values []uint64) (found, bool) {
	for _, block := range addresses {
		tag := im.uint(block+kdbgOwnerTag, 8)
		for _, flag := range addresses {
			for _, never := range values {
				for _, always := range values {
					k := keys{im.uint(never, 8), im.uint(always, 8), im.base + flag}
					plain := k.decode(tag)
					if uint32(plain) != binary.LittleEndian.Uint32([]byte(ownerTag)) {
						continue
					}
					if b := im.decoded(block, plain>>32, k); im.isKDBG(b) {
						return found{addr: im.base + block, decoded: b, how: "in the kernel's image, encoded"}, true
					}
				}
			}
		}
	}
	return found{}, false
}

// decoded is an encoded KDBG of a size in the clear, nil if that is none.
func (im *image) decoded(rva, size uint64, k keys) []byte {
	if size < minKDBG || size > maxKDBG || size%8 != 0 {
		return nil
	}
	var b []byte
	for i := uint64(0); i < size; i += 8 {
		b = binary.LittleEndian.AppendUint64(b, k.decode(im.uint(rva+i, 8)))
	}
	return b
}
