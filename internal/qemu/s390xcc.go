package qemu

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// ccOp works out a condition code, 0 to 3, of what TCG kept of an instruction
// for later: CPUS390XState.cc_src, cc_dst and cc_vr.
type ccOp func(src, dst, vr uint64) uint64

// The numbers of CPUS390XState.cc_op (enum cc_op, target/s390x/s390x-internal.h,
// internal.h before 6.1): up to 3 it is the code itself, 4 and 5 mean something
// inside of the translator alone, the operations begin at 6. Releases differ in
// what they list in between; new ones came at the end before 5.2.
const firstCCOp = 6

var ccNumbers = []struct {
	since string
	ops   []ccOp
}{
	{"7.0", slices.Concat(ccNonZero, ccCarry, ccCompare, ccSigned64, ccSigned32, ccBits, []ccOp{ccSLA}, ccRest)},
	{"6.0", slices.Concat(ccNonZero, ccCarry, ccCompare, ccSigned64, ccSigned32, ccBits, ccOldSLA, ccRest)},
	{"5.2", slices.Concat(ccNonZero, ccCompare, ccOld64, ccSigned64[4:], ccOld32, ccSigned32[4:], ccBits, ccOldSLA, ccRest)},
	{"", slices.Concat(ccNonZero, ccCompare, ccOld64, ccOld32, ccBits, ccOldSLA, ccRest)},
}

// s390CC is the condition code of a vCPU under TCG. An unknown version, "", is
// no error where all releases agree on the code.
func s390CC(version string, op uint32, src, dst, vr uint64) (uint64, error) {
	if op <= 3 {
		return uint64(op), nil
	}
	var codes []uint64
	for _, n := range ccNumbers {
		if version != "" && compareVersions(version, n.since) < 0 {
			continue
		}
		i := int(op) - firstCCOp
		if i < 0 || i >= len(n.ops) {
			return 0, fmt.Errorf("cc_op %d is no operation of QEMU's", op)
		}
		codes = append(codes, n.ops[i](src, dst, vr))
		if version != "" {
			break
		}
	}
	if len(slices.Compact(codes)) > 1 {
		return 0, fmt.Errorf("what cc_op %d means depends on QEMU's release, and that is not known", op)
	}
	if codes[0] > 3 {
		return 0, fmt.Errorf("cc_op %d of %#x, %#x, %#x gives %d, which is no condition code", op, src, dst, vr, codes[0])
	}
	return codes[0], nil
}

var (
	ccNonZero = []ccOp{func(_, dst, _ uint64) uint64 { return truth(dst != 0) }}

	// ccCarry are the logical sums and differences since 6.0: the result in dst,
	// carry (0 or 1) or borrow (0 or -1) in src.
	ccCarry = []ccOp{
		func(src, dst, _ uint64) uint64 { return truth(dst != 0) + 2*src },
		func(src, dst, _ uint64) uint64 { return truth(dst != 0) + 2*(src+1) },
	}

	ccCompare = []ccOp{
		func(src, dst, _ uint64) uint64 { return order(int32(src), int32(dst)) },
		func(src, dst, _ uint64) uint64 { return order(int64(src), int64(dst)) },
		func(src, dst, _ uint64) uint64 { return order(uint32(src), uint32(dst)) },
		func(src, dst, _ uint64) uint64 { return order(src, dst) },
		func(_, dst, _ uint64) uint64 { return order(int32(dst), 0) },
		func(_, dst, _ uint64) uint64 { return order(int64(dst), 0) },
	}

	// ccSigned64 and ccSigned32 are add, subtract, absolute, negative absolute
	// and, since 5.2, multiply.
	ccSigned64 = []ccOp{ccAdd[int64], ccSub[int64], ccAbs[int64], ccNegAbs[int64], ccMul64}
	ccSigned32 = []ccOp{ccAdd[int32], ccSub[int32], ccAbs[int32], ccNegAbs[int32], ccMul32}

	// ccOld64 and ccOld32 are, up to 5.2, add, add logical, the same with carry,
	// the three subtractions, absolute and negative absolute.
	ccOld64 = []ccOp{
		ccAdd[int64], ccOldAdd[uint64], ccOldAddCarry[uint64],
		ccSub[int64], ccOldSub[uint64], ccOldSubBorrow[uint64],
		ccAbs[int64], ccNegAbs[int64],
	}
	ccOld32 = []ccOp{
		ccAdd[int32], ccOldAdd[uint32], ccOldAddCarry[uint32],
		ccSub[int32], ccOldSub[uint32], ccOldSubBorrow[uint32],
		ccAbs[int32], ccNegAbs[int32],
	}

	// ccBits are complement, test under mask, floating point of 32, 64 and 128
	// bits, insert characters under mask.
	ccBits = []ccOp{
		ccComplement[int32], ccComplement[int64],
		func(src, dst, _ uint64) uint64 { return underMask(src&math.MaxUint32, dst&math.MaxUint32, 1) },
		func(src, dst, _ uint64) uint64 { return underMask(src, dst, 2) },
		func(_, dst, _ uint64) uint64 { return floating(dst<<32, 0, 8) },
		func(_, dst, _ uint64) uint64 { return floating(dst, 0, 11) },
		func(src, dst, _ uint64) uint64 { return floating(src, dst, 15) },
		ccInsert,
	}

	// ccOldSLA are shift left single of 32 and 64 bits before 7.0.
	ccOldSLA = []ccOp{
		func(src, dst, _ uint64) uint64 { return shiftLeft(int64(src<<32), dst, dst) },
		func(src, dst, _ uint64) uint64 { return shiftLeft(int64(src), dst, dst) },
	}

	// ccRest are find leftmost one, load count to block boundary (4.0), vector
	// compare (4.1).
	ccRest = []ccOp{
		func(_, dst, _ uint64) uint64 { return 2 * truth(dst != 0) },
		func(_, dst, _ uint64) uint64 { return 3 * truth(dst != 16) },
		func(src, dst, _ uint64) uint64 {
			switch {
			case src&dst == math.MaxUint64:
				return 0
			case src|dst == 0:
				return 3
			}
			return 1
		},
	}
)

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// order is 0 for equal, 1 for lower, 2 for higher.
func order[T cmp.Ordered](a, b T) uint64 { return [...]uint64{1, 0, 2}[cmp.Compare(a, b)+1] }

// ccAdd and ccSub have the operands in src and dst, the result in vr.
func ccAdd[T int32 | int64](src, dst, vr uint64) uint64 {
	if a, b, r := T(src), T(dst), T(vr); (a^r)&(b^r) >= 0 {
		return order(r, 0)
	}
	return 3
}

func ccSub[T int32 | int64](src, dst, vr uint64) uint64 {
	if a, b, r := T(src), T(dst), T(vr); (a^b)&(a^r) >= 0 {
		return order(r, 0)
	}
	return 3
}

// ccOldAdd and what follows it are the logical sums and differences before 6.0,
// like ccAdd and ccSub.
func ccOldAdd[T uint32 | uint64](src, _, vr uint64) uint64 {
	return truth(T(vr) != 0) + 2*truth(T(vr) < T(src))
}

func ccOldAddCarry[T uint32 | uint64](src, dst, vr uint64) uint64 {
	a, b, r := T(src), T(dst), T(vr)
	return truth(r != 0) + 2*truth(r-a < b || r < a)
}

func ccOldSub[T uint32 | uint64](src, dst, vr uint64) uint64 {
	return truth(T(vr) != 0) + 2*truth(T(dst) <= T(src))
}

func ccOldSubBorrow[T uint32 | uint64](src, dst, vr uint64) uint64 {
	a, b, r := T(src), T(dst), T(vr)
	if r != a-b { // one more was borrowed
		return truth(r != 0) + 2*truth(b < a)
	}
	return truth(r != 0) + 2*truth(b <= a)
}

// ccAbs, ccNegAbs and ccComplement have the result in dst.
func ccAbs[T int32 | int64](_, dst, _ uint64) uint64 {
	switch r := T(dst); {
	case r == 0:
		return 0
	case r == -r: // the lowest number has no absolute value
		return 3
	}
	return 2
}

func ccNegAbs[T int32 | int64](_, dst, _ uint64) uint64 { return truth(T(dst) != 0) }

func ccComplement[T int32 | int64](_, dst, _ uint64) uint64 {
	if r := T(dst); r == 0 || r != -r {
		return order(r, 0)
	}
	return 3
}

// ccMul32 has the product in dst, ccMul64 its halves in src and dst.
func ccMul32(_, dst, _ uint64) uint64 {
	if r := int64(dst); r == int64(int32(r)) {
		return order(r, 0)
	}
	return 3
}

func ccMul64(src, dst, _ uint64) uint64 {
	if int64(src) == int64(dst)>>63 {
		return order(int64(dst), 0)
	}
	return 3
}

// underMask is the code of the bits of v under mask: none set, all set, else 1
// or, where the leftmost is set, leftmost.
func underMask(v, mask, leftmost uint64) uint64 {
	switch {
	case v&mask == 0:
		return 0
	case v&mask == mask:
		return 3
	case int64(v<<bits.LeadingZeros64(mask)) < 0:
		return leftmost
	}
	return 1
}

// ccInsert has the mask of the bits inserted in src, the result in dst.
func ccInsert(src, dst, _ uint64) uint64 {
	switch {
	case dst&src == 0:
		return 0
	case int64(dst<<bits.LeadingZeros64(src)) < 0:
		return 1
	}
	return 2
}

// floating is the code of a binary floating-point number whose highest bits,
// sign, exponent of so many bits and the beginning of the fraction, are hi: 3
// for one that is not a number.
func floating(hi, lo uint64, exponent int) uint64 {
	const sign = 1 << 63
	infinity := uint64(sign) - uint64(sign)>>exponent
	abs := hi &^ sign
	switch {
	case abs > infinity || abs == infinity && lo != 0:
		return 3
	case abs|lo == 0:
		return 0
	case hi&sign != 0:
		return 1
	}
	return 2
}

// ccSLA is shift left single: the operand in src, the count in dst.
func ccSLA(src, dst, _ uint64) uint64 { return shiftLeft(int64(src), dst, dst+1) }

// shiftLeft is the code of v shifted by n without its sign, 3 if the checked
// highest bits are not all alike.
func shiftLeft(v int64, n, checked uint64) uint64 {
	if top := v >> (64 - min(checked, 64)); top != 0 && top != -1 {
		return 3
	}
	if v < 0 {
		return 1
	}
	return order(v<<n&math.MaxInt64, 0)
}
