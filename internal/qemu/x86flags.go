package qemu

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
)

// TCG computes x86's arithmetic flags when somebody asks. While a vCPU
// executes, CPUX86State.eflags lacks them, and DF: cc_op names the last
// operation that set flags, cc_dst is its result, cc_src and cc_src2 its
// operands, or what else it takes to compute the flags; df is 1 or -1. When
// the vCPU leaves the code it executes, QEMU adds them to eflags, so that a
// guest which was stopped has them there.

// Bits of RFLAGS.
const (
	flagC = 1 << 0
	flagP = 1 << 2
	flagA = 1 << 4
	flagZ = 1 << 6
	flagS = 1 << 7
	flagD = 1 << 10
	flagO = 1 << 11

	flagsLazy = flagC | flagP | flagA | flagZ | flagS | flagO
)

// lazyFlags are flags that are still to be computed.
type lazyFlags struct {
	op             string // the operation by the name QEMU has for it: "ADDL"
	dst, src, src2 uint64
	parity         bool // BMILG and BLSI set P, which processors leave undefined; since 11.0
}

// x86Flags adds to RFLAGS the flags that an executing vCPU keeps elsewhere.
func (vm *VM) x86Flags(c vcpu) (uint64, error) {
	env, err := vm.env(c)
	if err != nil {
		return 0, err
	}
	eflags := env.Uint("eflags")
	number := env.Uint32("cc_op")
	f := lazyFlags{dst: env.Uint("cc_dst"), src: env.Uint("cc_src"), src2: env.Uint("cc_src2")}
	if int32(env.Uint32("df")) < 0 {
		eflags |= flagD
	}
	if err := env.Err(); err != nil {
		return eflags, err
	}
	names, err := vm.ccNames()
	if err != nil {
		return eflags, err
	}
	f.op, f.parity = names[number], slices.Contains(slices.Collect(maps.Values(names)), "SBBx,x")
	flags, ok := f.compute()
	if !ok {
		return eflags, fmt.Errorf("operation %d (%q) is not known", number, f.op)
	}
	return eflags | flags&flagsLazy, nil // QEMU 7.2 lets ADCX leave more than flags in cc_src
}

// compute gives the flags of an operation; ok is false if it is not known.
// Flags that processors leave undefined are as QEMU has them.
func (f lazyFlags) compute() (flags uint64, ok bool) {
	switch f.op {
	case "DYNAMIC": // a vCPU that never executed anything
		return 0, true
	case "EFLAGS":
		return f.src, true
	case "ADCX":
		return f.src&^flagC | f.dst*flagC, true
	case "ADOX":
		return f.src&^flagO | f.src2*flagO, true
	case "ADCOX":
		return f.src&^(flagC|flagO) | f.dst*flagC | f.src2*flagO, true
	case "CLR":
		return flagZ | flagP, true
	case "POPCNT":
		return when(f.dst == 0, flagZ), true
	case nameOldPopcnt:
		return when(f.src == 0, flagZ), true
	case "SBBx,x": // the result is 0 or -1
		return when(f.dst == 0, flagZ) | flagP | f.dst&(flagC|flagA|flagS), true
	}
	if f.op == "" {
		return 0, false
	}
	kind, width := f.op[:len(f.op)-1], uint(8)
	switch f.op[len(f.op)-1] {
	case 'B':
	case 'W':
		width = 16
	case 'L':
		width = 32
	case 'Q':
		width = 64
	default:
		return 0, false
	}
	return f.sized(kind, width)
}

// sized gives the flags of an operation on operands of width bits.
func (f lazyFlags) sized(kind string, width uint) (flags uint64, ok bool) {
	mask := ^uint64(0) >> (64 - width)
	sign := uint64(1) << (width - 1)
	dst, src, carry := f.dst&mask, f.src&mask, f.src2&mask
	flags = when(dst == 0, flagZ) | when(dst&sign != 0, flagS) | when(bits.OnesCount8(uint8(dst))%2 == 0, flagP)
	switch kind {
	case "ADD", "ADC": // src is the first operand
		if kind == "ADD" {
			carry = 0
		}
		other := (dst - src - carry) & mask
		flags |= when(dst < src || carry != 0 && dst == src, flagC)
		flags |= (dst ^ src ^ other) & flagA
		flags |= when(^(src^other)&(src^dst)&sign != 0, flagO)
	case "SUB", "SBB": // src is the second operand
		if kind == "SUB" {
			carry = 0
		}
		first := (dst + src + carry) & mask
		flags |= when(first < src || carry != 0 && first == src, flagC)
		flags |= (dst ^ first ^ src) & flagA
		flags |= when((first^src)&(first^dst)&sign != 0, flagO)
	case "LOGIC":
	case "INC": // leaves C alone, which is src
		flags |= f.src | when(dst&0xf == 0, flagA) | when(dst == sign, flagO)
	case "DEC":
		flags |= f.src | when(dst&0xf == 0xf, flagA) | when(dst == sign-1, flagO)
	case "SHL": // src is shifted by one less than all
		flags |= when(src&sign != 0, flagC) | when((src^dst)&sign != 0, flagO)
	case "SAR": // and the other shifts to the right
		flags |= src&flagC | when((src^dst)&sign != 0, flagO)
	case "MUL": // src is 0 if the product fits
		flags |= when(f.src != 0, flagC|flagO)
	case "BMILG":
		flags = flags&^when(!f.parity, flagP) | when(src == 0, flagC)
	case "BLSI":
		flags = flags&^when(!f.parity, flagP) | when(src != 0, flagC)
	default:
		return 0, false
	}
	return flags, true
}

func when(cond bool, flags uint64) uint64 {
	if cond {
		return flags
	}
	return 0
}
