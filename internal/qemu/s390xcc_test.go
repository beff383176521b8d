package qemu

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// ccNames are the operations as enum cc_op numbers them, from 6 on.
var ccNames = map[string][]string{
	"7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)": {"NZ", "ADDU", "SUBU",
		"LTGT_32", "LTGT_64", "LTUGTU_32", "LTUGTU_64", "LTGT0_32", "LTGT0_64",
		"ADD_64", "SUB_64", "ABS_64", "NABS_64", "MULS_64", "ADD_32", "SUB_32", "ABS_32", "NABS_32", "MULS_32",
		"COMP_32", "COMP_64", "TM_32", "TM_64", "NZ_F32", "NZ_F64", "NZ_F128", "ICM", "SLA", "FLOGR", "LCBB", "VC"},
	"6.2.0": {"NZ", "ADDU", "SUBU",
		"LTGT_32", "LTGT_64", "LTUGTU_32", "LTUGTU_64", "LTGT0_32", "LTGT0_64",
		"ADD_64", "SUB_64", "ABS_64", "NABS_64", "MULS_64", "ADD_32", "SUB_32", "ABS_32", "NABS_32", "MULS_32",
		"COMP_32", "COMP_64", "TM_32", "TM_64", "NZ_F32", "NZ_F64", "NZ_F128", "ICM", "SLA_32", "SLA_64", "FLOGR", "LCBB", "VC"},
	"5.2.0": {"NZ",
		"LTGT_32", "LTGT_64", "LTUGTU_32", "LTUGTU_64", "LTGT0_32", "LTGT0_64",
		"ADD_64", "ADDU_64", "ADDC_64", "SUB_64", "SUBU_64", "SUBB_64", "ABS_64", "NABS_64", "MULS_64",
		"ADD_32", "ADDU_32", "ADDC_32", "SUB_32", "SUBU_32", "SUBB_32", "ABS_32", "NABS_32", "MULS_32",
		"COMP_32", "COMP_64", "TM_32", "TM_64", "NZ_F32", "NZ_F64", "NZ_F128", "ICM", "SLA_32", "SLA_64", "FLOGR", "LCBB", "VC"},
	"4.1.0": {"NZ",
		"LTGT_32", "LTGT_64", "LTUGTU_32", "LTUGTU_64", "LTGT0_32", "LTGT0_64",
		"ADD_64", "ADDU_64", "ADDC_64", "SUB_64", "SUBU_64", "SUBB_64", "ABS_64", "NABS_64",
		"ADD_32", "ADDU_32", "ADDC_32", "SUB_32", "SUBU_32", "SUBB_32", "ABS_32", "NABS_32",
		"COMP_32", "COMP_64", "TM_32", "TM_64", "NZ_F32", "NZ_F64", "NZ_F128", "ICM", "SLA_32", "SLA_64", "FLOGR", "LCBB", "VC"},
}

const (
	high32 = 1 << 31
	high64 = 1 << 63
)

// What the instructions do by the Principles of Operation; the first column is
// what QEMU keeps of one.
var ccCases = []struct {
	op           string
	src, dst, vr uint64
	want         uint64
}{
	{"NZ", 0, 0, 0, 0}, {"NZ", 0, 1 << 40, 0, 1},
	{"ADDU", 0, 0, 0, 0}, {"ADDU", 0, 5, 0, 1}, {"ADDU", 1, 0, 0, 2}, {"ADDU", 1, 5, 0, 3},
	{"SUBU", math.MaxUint64, 5, 0, 1}, {"SUBU", 0, 0, 0, 2}, {"SUBU", 0, 5, 0, 3},
	{"LTGT_32", 0xf00000005, 5, 0, 0}, {"LTGT_32", high32, 5, 0, 1}, {"LTGT_32", 5, 0xffffffff, 0, 2},
	{"LTGT_64", high32, 5, 0, 2}, {"LTGT_64", high64, 5, 0, 1}, {"LTGT_64", 7, 7, 0, 0},
	{"LTUGTU_32", high32, 5, 0, 2}, {"LTUGTU_32", 1 << 32, 5, 0, 1}, {"LTUGTU_64", 5, high64, 0, 1}, {"LTUGTU_64", 6, 5, 0, 2},
	{"LTGT0_32", 0, 1 << 32, 0, 0}, {"LTGT0_32", 0, high32, 0, 1}, {"LTGT0_64", 0, high32, 0, 2}, {"LTGT0_64", 0, high64, 0, 1},
	{"ABS_64", 0, high64, 0, 3}, {"ABS_64", 0, 4, 0, 2}, {"ABS_64", 0, 0, 0, 0}, {"ABS_32", 0, high32, 0, 3}, {"ABS_32", 0, 1 << 32, 0, 0},
	{"NABS_64", 0, high64, 0, 1}, {"NABS_64", 0, 0, 0, 0}, {"NABS_32", 0, 1 << 32, 0, 0}, {"NABS_32", 0, high32, 0, 1},
	{"MULS_64", 0, 0, 0, 0}, {"MULS_64", 0, 5, 0, 2}, {"MULS_64", math.MaxUint64, high64, 0, 1}, {"MULS_64", 0, high64, 0, 3}, {"MULS_64", 1, 0, 0, 3},
	{"MULS_32", 0, 0, 0, 0}, {"MULS_32", 0, math.MaxInt32, 0, 2}, {"MULS_32", 0, high32, 0, 3}, {"MULS_32", 0, math.MaxUint64, 0, 1},
	{"COMP_32", 0, high32, 0, 3}, {"COMP_32", 0, 0xffffffff, 0, 1}, {"COMP_32", 0, 9, 0, 2}, {"COMP_64", 0, high64, 0, 3}, {"COMP_64", 0, 0, 0, 0}, {"COMP_64", 0, high32, 0, 2},
	{"TM_32", 0xf0, 0x0f, 0, 0}, {"TM_32", 0xf0, 0x30, 0, 3}, {"TM_32", 0xc0, 0xf0, 0, 1}, {"TM_32", 0x30, 0xf0, 0, 1},
	{"TM_64", 0xc0, 0xf0, 0, 2}, {"TM_64", 0x30, 0xf0, 0, 1}, {"TM_64", 0xff, 0xf0, 0, 3}, {"TM_64", 0, 0xf0, 0, 0},
	{"NZ_F32", 0, uint64(math.Float32bits(float32(math.NaN()))), 0, 3}, {"NZ_F32", 0, high32, 0, 0}, {"NZ_F32", 0, uint64(math.Float32bits(-1e-40)), 0, 1},
	{"NZ_F32", 0, uint64(math.Float32bits(float32(math.Inf(1)))), 0, 2},
	{"NZ_F64", 0, math.Float64bits(math.NaN()), 0, 3}, {"NZ_F64", 0, high64, 0, 0}, {"NZ_F64", 0, math.Float64bits(math.Inf(-1)), 0, 1}, {"NZ_F64", 0, math.Float64bits(5e-324), 0, 2},
	{"NZ_F128", 0x7fff000000000000, 1, 0, 3}, {"NZ_F128", 0x7fff000000000000, 0, 0, 2}, {"NZ_F128", 0xffff000000000000, 0, 0, 1},
	{"NZ_F128", high64, 0, 0, 0}, {"NZ_F128", high64, 1, 0, 1}, {"NZ_F128", 0x7fff800000000000, 0, 0, 3},
	{"ICM", 0xff00, 0x00ff, 0, 0}, {"ICM", 0xff00, 0x8000, 0, 1}, {"ICM", 0xff00, 0x4000, 0, 2},
	{"SLA", 1, 3, 0, 2}, {"SLA", 0, 3, 0, 0}, {"SLA", math.MaxUint64, 3, 0, 1}, {"SLA", 1 << 62, 1, 0, 3}, {"SLA", 1 << 62, 0, 0, 2}, {"SLA", 1, 63, 0, 3}, {"SLA", high64, 1, 0, 3},
	{"SLA_64", 1, 3, 0, 2}, {"SLA_64", 0, 3, 0, 0}, {"SLA_64", math.MaxUint64, 3, 0, 1}, {"SLA_64", 1 << 62, 2, 0, 3}, {"SLA_64", 1 << 62, 0, 0, 2},
	{"SLA_32", 1, 3, 0, 2}, {"SLA_32", 0, 3, 0, 0}, {"SLA_32", 0xffffffff, 3, 0, 1}, {"SLA_32", 1 << 30, 2, 0, 3}, {"SLA_32", 0xf00000001, 1, 0, 2},
	{"FLOGR", 0, 0, 0, 0}, {"FLOGR", 0, 1, 0, 2}, {"LCBB", 0, 16, 0, 0}, {"LCBB", 0, 15, 0, 3},
	{"VC", math.MaxUint64, math.MaxUint64, 0, 0}, {"VC", 0, 0, 0, 3}, {"VC", math.MaxUint64, 0, 0, 1}, {"VC", 0, 0xff, 0, 1},
}

func TestS390CC(t *testing.T) {
	seen := map[string]bool{}
	for version, names := range ccNames {
		for i, name := range names {
			for _, c := range ccCases {
				if c.op != name {
					continue
				}
				seen[name] = true
				got, err := s390CC(version, uint32(6+i), c.src, c.dst, c.vr)
				if err != nil || got != c.want {
					t.Errorf("QEMU %s: %s of %#x, %#x, %#x: %d, want %d: %v", version, name, c.src, c.dst, c.vr, got, c.want, err)
				}
			}
			if _, known := sums[name]; !known && !seen[name] {
				t.Errorf("no case of %s", name)
			}
		}
	}
}

// sum is an addition or subtraction that keeps its operands: their width, the
// sign of the second, whether they have one, whether a carry goes in.
type sum struct {
	width         uint
	minus, signed bool
	carry         bool
}

var sums = map[string]sum{
	"ADD_64": {64, false, true, false}, "ADD_32": {32, false, true, false}, "SUB_64": {64, true, true, false}, "SUB_32": {32, true, true, false},
	"ADDU_64": {64, false, false, false}, "ADDU_32": {32, false, false, false}, "ADDC_64": {64, false, false, true}, "ADDC_32": {32, false, false, true},
	"SUBU_64": {64, true, false, false}, "SUBU_32": {32, true, false, false}, "SUBB_64": {64, true, false, true}, "SUBB_32": {32, true, false, true},
}

// code is the condition code of the exact result, and the result as it fits
// into the width.
func (s sum) code(a, b uint64, in int64) (cc, result uint64) {
	number := func(v uint64) *big.Int {
		n := new(big.Int).SetUint64(v << (64 - s.width) >> (64 - s.width))
		if s.signed && n.Bit(int(s.width)-1) == 1 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), s.width))
		}
		return n
	}
	exact := number(a)
	if s.minus {
		exact.Sub(exact, number(b)).Sub(exact, big.NewInt(in))
	} else {
		exact.Add(exact, number(b)).Add(exact, big.NewInt(in))
	}
	whole := new(big.Int).Lsh(big.NewInt(1), s.width)
	result = new(big.Int).Mod(exact, whole).Uint64()
	if s.signed {
		if number(result).Cmp(exact) != 0 {
			return 3, result
		}
		return uint64([]int{1, 0, 2}[exact.Sign()+1]), result
	}
	carried := exact.Cmp(whole) >= 0 // a sum's carry; of a difference, that nothing was borrowed
	if s.minus {
		carried = exact.Sign() >= 0
	}
	if result != 0 {
		cc = 1
	}
	if carried {
		cc += 2
	}
	return cc, result
}

func TestS390CCSums(t *testing.T) {
	edges := []uint64{0, 1, 2, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, math.MaxUint64}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		edges = append(edges, r.Uint64())
	}
	for version, names := range ccNames {
		for i, name := range names {
			s, ok := sums[name]
			if !ok {
				continue
			}
			for _, a := range edges {
				for _, b := range edges {
					for in := int64(0); in == 0 || s.carry && in == 1; in++ {
						want, result := s.code(a, b, in)
						got, err := s390CC(version, uint32(6+i), a, b, result)
						if err != nil || got != want {
							t.Fatalf("QEMU %s: %s of %#x and %#x, carry %d: %d, want %d: %v", version, name, a, b, in, got, want, err)
						}
					}
				}
			}
		}
	}
}

func TestS390CCNumbers(t *testing.T) {
	for _, tt := range []struct {
		name, version string
		op            uint32
		src, dst      uint64
		want          uint64
		ok            bool
	}{
		{"the code itself", "", 3, 0, 0, 3, true},
		{"of the translator", "7.2.22", 5, 0, 0, 0, false},
		{"behind the last", "7.2.22", 37, 0, 0, 0, false},
		{"far behind", "", math.MaxUint32, 0, 0, 0, false},
		{"all releases agree", "", 6, 0, 1, 1, true},
		{"they do not", "", 9, 1, 1 << 31, 0, false}, // LTGT_32 or LTUGTU_32
		{"a carry of 2", "7.2.22", 7, 2, 0, 0, false},
	} {
		got, err := s390CC(tt.version, tt.op, tt.src, tt.dst, 0)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%s: %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}
