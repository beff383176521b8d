package arch

import (
	"encoding/binary"
	"slices"
)

// State components of XSAVE, numbered as the bits of XCR0 (Intel SDM vol. 1,
// 13.1).
const (
	xAVX    = 2
	xOpmask = 5
	xZMMHi  = 6 // upper halves of zmm0-15
	xHiZMM  = 7 // zmm16-31
	xPKRU   = 9
)

// xcr0At is where Linux stores XCR0 in NT_X86_XSTATE, in bytes that FXSAVE
// leaves to software (struct _fpx_sw_bytes, asm/sigcontext.h).
const xcr0At = 464

const ntXSaveAreas = 0x205 // NT_X86_XSAVE_LAYOUT, Linux 6.12

// xsaveFeatures describes what a thread's XSAVE area holds beyond SSE.
func xsaveFeatures(notes Notes) []feature {
	area := notes(ntXState)
	b := cut(area, xcr0At, 8)
	if b == nil {
		return nil
	}
	xcr0 := binary.LittleEndian.Uint64(b)
	at := componentOffsets(xcr0, len(area), notes(ntXSaveAreas))
	has := func(components ...int) bool {
		return !slices.ContainsFunc(components, func(c int) bool { return xcr0>>c&1 == 0 || at[c] == 0 })
	}
	var features []feature
	if has(xAVX) {
		features = append(features, feature{
			name: "org.gnu.gdb.i386.avx",
			regs: ranged("ymm%dh", 0, 16, 128, "uint128", ntXState, at[xAVX], 16),
		})
	}
	if has(xOpmask, xZMMHi, xHiZMM) {
		// zmm16-31 are stored whole, 64 bytes each: xmm, ymmh, zmmh.
		features = append(features, feature{
			name:  "org.gnu.gdb.i386.avx512",
			types: append(vec128Types(), vector("v2ui128", "uint128", 2)),
			regs: slices.Concat(
				ranged("xmm%d", 16, 16, 128, "vec128", ntXState, at[xHiZMM], 64),
				ranged("ymm%dh", 16, 16, 128, "uint128", ntXState, at[xHiZMM]+16, 64),
				ranged("k%d", 0, 8, 64, "uint64", ntXState, at[xOpmask], 8),
				ranged("zmm%dh", 0, 16, 256, "v2ui128", ntXState, at[xZMMHi], 32),
				ranged("zmm%dh", 16, 16, 256, "v2ui128", ntXState, at[xHiZMM]+32, 64),
			),
		})
	}
	if has(xPKRU) {
		features = append(features, feature{
			name: "org.gnu.gdb.i386.pkeys",
			regs: []reg{{name: "pkru", bits: 32, typ: "uint32", value: field(ntXState, at[xPKRU], 4)}},
		})
	}
	return features
}

// componentOffsets says where the components lie in an XSAVE area of size
// bytes. Since Linux 6.12 the core says it itself, in entries of four 32-bit
// words: component, size, offset, flags. Before, it is known of the processor
// alone: Intel reserves room for MPX, AMD does not.
func componentOffsets(xcr0 uint64, size int, areas []byte) map[int]int {
	at := map[int]int{}
	for ; len(areas) >= 16; areas = areas[16:] {
		component := int(binary.LittleEndian.Uint32(areas))
		offset := int(binary.LittleEndian.Uint32(areas[8:]))
		if offset >= 576 && offset < size {
			at[component] = offset
		}
	}
	switch {
	case len(at) > 0:
		return at
	case xcr0>>xPKRU&1 != 0 && size == 2440:
		return map[int]int{xAVX: 576, xOpmask: 832, xZMMHi: 896, xHiZMM: 1408, xPKRU: 2432}
	case xcr0>>xPKRU&1 != 0 && size == 840:
		return map[int]int{xAVX: 576, xPKRU: 832}
	}
	return map[int]int{xAVX: 576, xOpmask: 1088, xZMMHi: 1152, xHiZMM: 1664, xPKRU: 2688}
}
