package qemu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// armObject is a structure of 4 KiB in a host's memory with these members, in
// the form of the layout table, in which some are set.
func armObject(t *testing.T, members string, set map[string]uint64) *cvalue.Object {
	t.Helper()
	return armTable(t, fmt.Sprintf(`{"x": {"S": {"size": 4096, "fields": {%s}}}}`, members), set)
}

func armTable(t *testing.T, table string, set map[string]uint64) *cvalue.Object {
	t.Helper()
	tables, err := ctype.ParseTable(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	layout, err := tables["x"].Struct("S")
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]byte, 2*4096)
	for path, v := range set {
		f, err := layout.Field(path)
		if err != nil {
			t.Fatal(err)
		}
		b := binary.LittleEndian.AppendUint64(nil, v)
		copy(memory[4096+f.Offset:], b[:f.Size])
	}
	space := &cvalue.Space{Mem: bytes.NewReader(memory), Order: binary.LittleEndian, PointerSize: 8, Layouts: tables["x"]}
	return space.At(4096, "S")
}

const (
	// Of the releases 9.1 and older, of 10.0, and as exceptions were before 7.0.
	fpOld    = `"vfp.xregs": [0,4,16], "vfp.vec_len": [64,4], "vfp.vec_stride": [68,4], "vfp.qc": [72,4,4], `
	fpOldest = fpOld + `"vfp.fp_status.float_exception_flags": [100,1], "vfp.standard_fp_status.float_exception_flags": [108,1]`
	fp72     = fpOld + `"vfp.fp_status.float_exception_flags": [100,2], "vfp.fp_status_f16.float_exception_flags": [112,2],
		"vfp.standard_fp_status.float_exception_flags": [124,2], "vfp.standard_fp_status_f16.float_exception_flags": [136,2]`
	fp100 = `"vfp.fpsr": [0,8], "vfp.fpcr": [8,8], "vfp.vec_len": [64,4], "vfp.vec_stride": [68,4], "vfp.qc": [72,4,4],
		"vfp.fp_status": [100,18,8], "vfp.fp_status[].float_exception_flags": [100,2]`
	fp101 = `"vfp.fpsr": [0,8], "vfp.fpcr": [8,8], "vfp.vec_len": [64,4], "vfp.vec_stride": [68,4], "vfp.qc": [72,4,4],
		"vfp.fp_status": [100,18,10], "vfp.fp_status[].float_exception_flags": [100,2]`
)

func TestARMFloatControl(t *testing.T) {
	const flag = ".float_exception_flags"
	at := func(i int) string { return fmt.Sprintf("vfp.fp_status[%d]%s", i, flag) }
	for _, tt := range []struct {
		name       string
		members    string
		set        map[string]uint64
		fpcr, fpsr uint32
	}{
		{"4.0: inexact is 32, divbyzero 4", fpOldest, map[string]uint64{"vfp.fp_status" + flag: 32 | 4, "vfp.standard_fp_status" + flag: 1}, 0, 0x13},
		{"4.0: denormals", fpOldest, map[string]uint64{"vfp.fp_status" + flag: 64, "vfp.standard_fp_status" + flag: 128}, 0, 0x88},
		{"one register", fp72, map[string]uint64{"vfp.xregs[1]": 0x90000000 | 0x01c00000, "vfp.vec_len": 3, "vfp.vec_stride": 1}, 0x01d30000, 0x90000000},
		{"saturated", fp72, map[string]uint64{"vfp.qc[2]": 4}, 0, 1 << 27},
		{"all four", fp72, map[string]uint64{"vfp.fp_status" + flag: 1, "vfp.fp_status_f16" + flag: 2, "vfp.standard_fp_status" + flag: 4,
			"vfp.standard_fp_status_f16" + flag: 8}, 0, 0xf},
		{"halves do not tell of denormal operands", fp72, map[string]uint64{"vfp.fp_status_f16" + flag: 0x20, "vfp.standard_fp_status_f16" + flag: 0x70},
			0, 0x18},
		{"two registers", fp100, map[string]uint64{"vfp.fpsr": 0x10, "vfp.fpcr": 0x01400000, "vfp.vec_len": 7}, 0x01470000, 0x10},
		{"of AArch32 and AArch64", fp100, map[string]uint64{at(0): 1, at(1): 2, at(2): 4, at(3): 8, at(4): 0x10, at(5): 0x20}, 0, 0xf},
		{"standard arithmetic", fp100, map[string]uint64{at(6): 0x10, at(7): 0x22}, 0, 0x12},
		{"standard arithmetic, 10.1", fp101, map[string]uint64{at(6): 1, at(7): 2, at(8): 0x20, at(9): 0x28}, 0, 0x88},
		{"denormal operand without FZ", fp100, map[string]uint64{at(1): 0x20}, 0, 0},
		{"denormal operand with FZ", fp100, map[string]uint64{at(1): 0x20, "vfp.fpcr": fpcrFZ}, fpcrFZ, 0x80},
		{"denormals with AH", fp100, map[string]uint64{at(1): 0x4060, "vfp.fpcr": fpcrAH | fpcrFZ}, fpcrAH | fpcrFZ, 0x98},
		{"denormals with AH, AArch32", fp100, map[string]uint64{at(0): 0x4040, "vfp.fpcr": fpcrAH}, fpcrAH, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := armCPU{env: armObject(t, tt.members, tt.set)}
			fpcr, fpsr := c.fpControl()
			if err := c.env.Err(); err != nil || fpcr != tt.fpcr || fpsr != tt.fpsr {
				t.Errorf("fpcr %#x, fpsr %#x, %v; want %#x, %#x", fpcr, fpsr, err, tt.fpcr, tt.fpsr)
			}
		})
	}
	c := armCPU{env: armObject(t, strings.TrimSuffix(fpOld, ", "), nil)}
	if c.fpControl(); c.env.Err() == nil {
		t.Error("a layout without float_status is taken for one without exceptions")
	}
}

func TestARMVectorLength(t *testing.T) {
	const (
		env = `"svcr": [0,8], "cp15.scr_el3": [8,8], "cp15.hcr_el2": [16,8], "vfp.zcr_el": [24,8,4], "vfp.smcr_el": [56,8,4]`
		cpu = `"has_el2": [0,1], "has_el3": [1,1], "sme_vq.map": [4,4]`
		// The host's own HCR_EL2: E2H, TGE.
		host = 1<<34 | 1<<27
	)
	for _, tt := range []struct {
		name     string
		el       int
		lengths  uint64
		env, cpu map[string]uint64
		want     int
	}{
		{"as short as EL1 says", 1, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 3}, nil, 4},
		{"EL0 too", 0, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 3}, nil, 4},
		{"no longer than it can", 1, 0x000b, map[string]uint64{"vfp.zcr_el[1]": 15}, nil, 4},
		{"one that it has", 1, 0x000b, map[string]uint64{"vfp.zcr_el[1]": 2}, nil, 2},
		{"EL2 limits EL1", 1, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 7, "vfp.zcr_el[2]": 1}, map[string]uint64{"has_el2": 1}, 2},
		{"there is no EL2", 1, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 7, "vfp.zcr_el[2]": 1}, nil, 8},
		{"EL1 does not limit EL2", 2, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 1, "vfp.zcr_el[2]": 7}, map[string]uint64{"has_el2": 1}, 8},
		{"nor the host's programs", 0, 0xffff, map[string]uint64{"cp15.hcr_el2": host, "vfp.zcr_el[1]": 1, "vfp.zcr_el[2]": 7}, map[string]uint64{"has_el2": 1}, 8},
		{"EL3 limits all", 2, 0xffff, map[string]uint64{"vfp.zcr_el[2]": 7, "vfp.zcr_el[3]": 2, "cp15.scr_el3": 1}, map[string]uint64{"has_el2": 1, "has_el3": 1}, 3},
		{"secure, without EL2", 1, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 7, "vfp.zcr_el[3]": 15}, map[string]uint64{"has_el2": 1, "has_el3": 1}, 8},
		{"secure, with EL2", 1, 0xffff, map[string]uint64{"vfp.zcr_el[1]": 7, "vfp.zcr_el[3]": 15, "cp15.scr_el3": 1 << 18},
			map[string]uint64{"has_el2": 1, "has_el3": 1}, 1},
		{"streaming", 1, 0xffff, map[string]uint64{"svcr": 1, "vfp.zcr_el[1]": 15, "vfp.smcr_el[1]": 0x80000003}, map[string]uint64{"sme_vq.map": 0x8b}, 4},
		{"streaming has none that short", 1, 0xffff, map[string]uint64{"svcr": 1}, map[string]uint64{"sme_vq.map": 0x8a}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := armCPU{env: armObject(t, env, tt.env), cpu: armObject(t, cpu, tt.cpu)}
			if got := c.vq(tt.lengths, tt.el); got != tt.want || c.env.Err() != nil || c.cpu.Err() != nil {
				t.Errorf("%d quadwords, %v, %v; want %d", got, c.env.Err(), c.cpu.Err(), tt.want)
			}
		})
	}
}

func TestARMLengths(t *testing.T) {
	for _, tt := range []struct {
		name, members string
		set           map[string]uint64
		want          uint64
	}{
		{"since 7.1", `"sve_vq.map": [0,4], "sve_max_vq": [8,4]`, map[string]uint64{"sve_vq.map": 0x8b, "sve_max_vq": 8}, 0x8b},
		{"since 4.2", `"sve_vq_map": [0,8,1], "sve_max_vq": [8,4]`, map[string]uint64{"sve_vq_map[0]": 0xff, "sve_max_vq": 8}, 0xff},
		{"since 3.1", `"sve_max_vq": [8,4]`, map[string]uint64{"sve_max_vq": 4}, 0xf},
		{"3.1, none", `"sve_max_vq": [8,4]`, nil, 0},
		{"before", `"mvfr0": [0,4]`, nil, 0},
	} {
		c := armCPU{cpu: armObject(t, tt.members, tt.set)}
		if got := c.lengths(); got != tt.want || c.cpu.Err() != nil {
			t.Errorf("%s: %#x, %v; want %#x", tt.name, got, c.cpu.Err(), tt.want)
		}
	}
	c := armCPU{cpu: armTable(t, `{"x": {"S": {"fields": {"has_el2": [0,1]}}}}`, nil)}
	c.properties = map[string]addr.HVA{"sve128": 0x1000, "vfp": 0x2000}
	if c.lengths(); c.cpu.Err() == nil {
		t.Error("a layout that does not tell of SVE is taken for a processor without")
	}
	c = armCPU{cpu: armTable(t, `{"x": {"S": {"fields": {"has_el2": [0,1]}}}}`, nil), properties: map[string]addr.HVA{"vfp": 0x2000}}
	if got := c.lengths(); got != 0 || c.cpu.Err() != nil {
		t.Errorf("a processor without a property of SVE has lengths %#x, %v", got, c.cpu.Err())
	}
}

// The places are those of the Arm ARM, D1.19.2, by hand.
func TestARMBanks(t *testing.T) {
	members := `"uncached_cpsr": [0,4], "regs": [8,4,16], "usr_regs": [72,4,5], "fiq_regs": [92,4,5], "banked_r13": [112,4,8], "banked_r14": [144,4,8]`
	set := map[string]uint64{}
	for i := range 16 {
		set[fmt.Sprintf("regs[%d]", i)] = 0x100 + uint64(i)
	}
	for i := range 5 {
		set[fmt.Sprintf("usr_regs[%d]", i)] = 0x208 + uint64(i)
		set[fmt.Sprintf("fiq_regs[%d]", i)] = 0x308 + uint64(i)
	}
	for i := range 8 {
		set[fmt.Sprintf("banked_r13[%d]", i)] = 0x40d + uint64(i)<<4
		set[fmt.Sprintf("banked_r14[%d]", i)] = 0x40e + uint64(i)<<4
	}
	for _, tt := range []struct {
		name string
		mode uint64
		want map[int]uint64 // what is not as in supervisor mode
	}{
		{"svc", modeSVC, nil},
		{"usr", modeUSR, map[int]uint64{13: 0x10d, 14: 0x10e, 18: 0x41e, 19: 0x41d}},
		{"sys", modeSYS, map[int]uint64{13: 0x10d, 14: 0x10e, 18: 0x41e, 19: 0x41d}},
		{"hyp", modeHYP, map[int]uint64{14: 0x10e, 15: 0x10d, 18: 0x41e, 19: 0x41d}},
		{"irq", modeIRQ, map[int]uint64{16: 0x10e, 17: 0x10d, 18: 0x41e, 19: 0x41d}},
		{"abt", modeABT, map[int]uint64{20: 0x10e, 21: 0x10d, 18: 0x41e, 19: 0x41d}},
		{"und", modeUND, map[int]uint64{22: 0x10e, 23: 0x10d, 18: 0x41e, 19: 0x41d}},
		{"mon", modeMON, map[int]uint64{18: 0x41e, 19: 0x41d}},
		{"fiq", modeFIQ, map[int]uint64{8: 0x208, 9: 0x209, 10: 0x20a, 11: 0x20b, 12: 0x20c, 18: 0x41e, 19: 0x41d,
			24: 0x108, 25: 0x109, 26: 0x10a, 27: 0x10b, 28: 0x10c, 29: 0x10d, 30: 0x10e}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := [31]uint64{0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10a, 0x10b, 0x10c,
				0x40d, 0x40e, 0x46d, 0x44e, 0x44d, 0x10e, 0x10d, 0x42e, 0x42d, 0x43e, 0x43d, 0x308, 0x309, 0x30a, 0x30b, 0x30c, 0x45d, 0x45e}
			for i, v := range tt.want {
				want[i] = v
			}
			set["uncached_cpsr"] = 0x1c0 | tt.mode
			env := armObject(t, members, set)
			if got := (armCPU{env: env}).banked().aarch64(); got != want || env.Err() != nil {
				t.Errorf("x0 to x30 %#x, %v\nwant %#x", got, env.Err(), want)
			}
		})
	}
}

func TestARMStatus(t *testing.T) {
	members := `"NF": [0,4], "ZF": [4,4], "CF": [8,4], "VF": [12,4], "QF": [16,4], "GE": [20,4], "thumb": [24,1], "condexec_bits": [28,4],
		"daif": [32,8], "uncached_cpsr": [40,4]`
	c := armCPU{env: armObject(t, members, map[string]uint64{
		"NF": 0x80000001, "ZF": 5, "CF": 1, "VF": 0x7fffffff, "QF": 1, "GE": 0xa, "thumb": 1, "condexec_bits": 0xc6, "daif": 0x3c0, "uncached_cpsr": 0x200 | modeSVC,
	})}
	// N, C; Q; IT 11000110: bits 26-25 have its low two, 15-10 the rest; GE; E, A, I, F without D; T; mode.
	if got, want := c.cpsr(), uint64(1<<31|1<<29|1<<27|2<<25|0xa<<16|0xc4<<8|0x200|0x1c0|0x20|modeSVC); got != want || c.env.Err() != nil {
		t.Errorf("cpsr %#x, %v; want %#x", got, c.env.Err(), want)
	}
	zero := armCPU{env: armObject(t, members, nil)}
	if got := zero.nzcv(); got != 1<<30 {
		t.Errorf("flags of a zero result %#x, want Z", got)
	}
}
