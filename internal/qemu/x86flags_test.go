package qemu

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// QEMU logs a vCPU's registers before each block of code: flags as it computes
// them when asked, and what it computes them from. A program of thousands of
// instructions with random operands, each a block of its own, is the judge of
// compute; the executable's own table is that of the names.
func TestX86Flags(t *testing.T) {
	for _, q := range []rig.QEMU{testkit.StockQEMU(t), testkit.DebugQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")} {
		t.Run(q.Name, func(t *testing.T) {
			t.Parallel()
			f := testkit.Boot(t, q, rig.Bare)
			vm, err := Open(realSource(t, f, q.Exe))
			if err != nil {
				t.Fatal(err)
			}
			names, err := vm.ccNames()
			if err != nil {
				t.Fatal(err)
			}
			checkCCNames(t, names)
			log, err := rig.Trace(t.Context(), t.TempDir(), q, rig.X86Code(flagSetters()), "-cpu", "max")
			if err != nil {
				t.Fatal(err)
			}
			seen := checkTrace(t, string(log), names)
			for _, op := range ccSized {
				if seen[op] == 0 && op != "BMILGB" { // there is none
					t.Errorf("no flags of %s were seen", op)
				}
			}
			for _, op := range []string{"EFLAGS", "ADCX", "ADOX", "ADCOX", "CLR", "BLSIL", "BLSIQ", "POPCNT", nameOldPopcnt, "SBBx,x"} {
				known := slices.Contains(slices.Collect(maps.Values(names)), op)
				if known && seen[op] == 0 {
					t.Errorf("no flags of %s were seen", op)
				}
			}
			t.Logf("flags of %v", seen)
		})
	}
}

// checkCCNames holds the numbers to what all releases have in common.
func checkCCNames(t *testing.T, names map[uint32]string) {
	t.Helper()
	number := map[string]uint32{}
	for n, name := range names {
		if _, twice := number[name]; twice {
			t.Errorf("%s is in the table twice", name)
		}
		number[name] = n
	}
	for _, name := range slices.Concat(ccSized, []string{"EFLAGS", "ADCX", "ADOX", "ADCOX"}) {
		if _, ok := number[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
	if number["EFLAGS"] > 1 || number["MULQ"] != number["MULB"]+3 || number["MULB"]%2 != 0 {
		t.Errorf("EFLAGS is %d, MULB to MULQ are %d to %d", number["EFLAGS"], number["MULB"], number["MULQ"])
	}
}

var (
	loggedFlags = regexp.MustCompile(`RFL=([0-9a-f]+)`)
	loggedLazy  = regexp.MustCompile(`CCS=([0-9a-f]+) CCD=([0-9a-f]+) CCO=(\S+)`)
)

// checkTrace compares all flags of a log with what compute makes of their
// sources, and counts them by operation. The log lacks cc_src2, which is the
// carry before the instruction, or for ADOX the overflow.
func checkTrace(t *testing.T, log string, names map[uint32]string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	before := uint64(0)
	wrong := 0
	for block := range strings.SplitSeq(log, "\nRAX=") {
		rfl, lazy := loggedFlags.FindStringSubmatch(block), loggedLazy.FindStringSubmatch(block)
		if rfl == nil || lazy == nil { // not in long mode yet
			continue
		}
		want := hexNumber(t, rfl[1]) & flagsLazy
		f := lazyFlags{src: hexNumber(t, lazy[1]), dst: hexNumber(t, lazy[2]), src2: before & flagC, op: lazy[3]}
		f.parity = slices.Contains(slices.Collect(maps.Values(names)), "SBBx,x")
		if n, err := strconv.ParseUint(strings.Trim(f.op, "[]"), 10, 32); err == nil { // QEMU has no name for it
			f.op = names[uint32(n)]
		} else if f.op == "(null)" {
			f.op = nameOldPopcnt
		}
		if f.op == "ADOX" || f.op == "ADCOX" {
			f.src2 = want / flagO
		}
		got, ok := f.compute()
		if got &= flagsLazy; !ok || got != want {
			if wrong++; wrong < 20 {
				t.Errorf("%s %+v: flags %#x, %v; QEMU has %#x", lazy[3], f, got, ok, want)
			}
		}
		seen[f.op]++
		before = want
	}
	return seen
}

func hexNumber(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flagSetters are instructions that set flags, with random operands in RAX and
// RBX and a random carry before, in blocks of their own.
func flagSetters() []byte {
	const (
		rounds   = 12
		endBlock = "\xeb\x00" // jmp to the next instruction
	)
	r := rand.New(rand.NewPCG(4, 2))
	var code []byte
	for range rounds {
		for _, op := range flagSetting() {
			for reg, v := range []uint64{operand(r), operand(r)} {
				code = append(code, 0x48, 0xb8|byte(reg*3)) // movabs $v,%rax; %rbx
				code = binary.LittleEndian.AppendUint64(code, v)
			}
			code = append(code, 0xf8|byte(r.UintN(2))) // clc or stc
			code = append(code, endBlock+op+endBlock...)
		}
	}
	return code
}

// operand is a number with a tendency to the edges.
func operand(r *rand.Rand) uint64 {
	edges := []uint64{0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, 1<<63 - 1, 1 << 63, ^uint64(0)}
	if r.UintN(2) == 0 {
		return edges[r.IntN(len(edges))]
	}
	return r.Uint64()
}

// flagSetting are instructions on %rax and %rbx that set flags, in all sizes.
func flagSetting() []string {
	var ops []string
	// sized adds an instruction whose opcode with bit 0 clear is that of bytes.
	sized := func(opcode, rest string) {
		wide := string([]byte{opcode[0] | 1}) + opcode[1:] + rest
		ops = append(ops, opcode+rest, "\x66"+wide, wide, "\x48"+wide)
	}
	for n := range 8 { // add or adc sbb and sub xor cmp
		sized(string([]byte{byte(n << 3)}), "\xd8")
	}
	sized("\x84", "\xd8") // test
	for _, rest := range []string{"\xc0", "\xc8"} {
		sized("\xfe", rest) // inc dec
	}
	for _, rest := range []string{"\xd8", "\xe3", "\xeb"} {
		sized("\xf6", rest) // neg mul imul
	}
	for _, rest := range []string{"\xc0", "\xd0", "\xe0", "\xe8", "\xf8"} { // rol rcl shl shr sar
		sized("\xd0", rest)
		sized("\xc0", rest+"\x05")
	}
	for _, prefix := range []string{"\x66", "", "\x48"} {
		for _, op := range []string{"\x0f\xaf\xc3", "\x31\xc0", "\x19\xc0", "\x0f\xa3\xd8"} { // imul, xor and sbb with itself, bt
			ops = append(ops, prefix+op)
		}
		for _, op := range []string{"\xb8", "\xbc", "\xbd"} { // popcnt tzcnt lzcnt
			if prefix == "\x66" {
				ops = append(ops, "\x66\xf3\x0f"+op+"\xc3")
			} else {
				ops = append(ops, "\xf3"+prefix+"\x0f"+op+"\xc3")
			}
		}
	}
	for _, w := range []string{"\x78", "\xf8"} { // 32 and 64 bits
		for _, rest := range []string{"\xcb", "\xd3", "\xdb"} { // blsr blsmsk blsi
			ops = append(ops, "\xc4\xe2"+w+"\xf3"+rest)
		}
		ops = append(ops, "\xc4\xe2"+w+"\xf2\xc3") // andn
	}
	for _, w := range []string{"", "\x48"} { // adcx adox, and both
		adcx, adox := "\x66"+w+"\x0f\x38\xf6\xc3", "\xf3"+w+"\x0f\x38\xf6\xc3"
		ops = append(ops, adcx, adox, adcx+adox, adox+adcx)
	}
	return append(ops, "\x9e", "\xf5") // sahf cmc
}

// The parts of the table that real executables do not all have.
func TestNameUnnamed(t *testing.T) {
	for _, tt := range []struct {
		name string
		have map[uint32]string
		want string
	}{
		{"before 9.1", map[uint32]string{46: "ADCX", 47: "ADOX", 48: "ADCOX", 49: "CLR"}, "50:POPCNT src"},
		{"9.1", map[uint32]string{57: "POPCNT"}, "46:BLSIB 47:BLSIW 48:BLSIL 49:BLSIQ"},
	} {
		before := maps.Clone(tt.have)
		nameUnnamed(tt.have, 46)
		var got []string
		for _, n := range slices.Sorted(maps.Keys(tt.have)) {
			if before[n] == "" {
				got = append(got, fmt.Sprintf("%d:%s", n, tt.have[n]))
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}
