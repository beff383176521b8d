package qemu

import (
	"bytes"
	"debug/elf"
	"errors"
	"slices"

	"guestcore/internal/addr"
)

// The numbers of the operations in cc_op changed with the releases, and stable
// releases took part in that. QEMU has a table of their names, cc_op_str
// (target/i386/cpu-dump.c, before 6.0 helper.c), which is in its data whether
// stripped or not:
//
//	2.11 to 9.0   DYNAMIC EFLAGS | MULB … BMILGQ | ADCX ADOX ADCOX CLR (POPCNT)
//	9.1 to 9.2    DYNAMIC EFLAGS ADCX ADOX ADCOX CLR | MULB … BMILGQ | (BLSIB … BLSIQ) POPCNT
//	10.0          EFLAGS ADCX ADOX ADCOX | MULB … BMILGQ | (BLSIB … BLSIQ) POPCNT DYNAMIC
//	11.0          and SBBx,x before DYNAMIC
//
// Those in parentheses are operations the table has no name for.

// nameOldPopcnt is POPCNT with the result in cc_src, before 9.1.
const nameOldPopcnt = "POPCNT src"

// ccSized are the operations on operands of four sizes which the tables of all
// releases have in this order, without a gap.
var ccSized = func() []string {
	var out []string
	for _, kind := range []string{"MUL", "ADD", "ADC", "SUB", "SBB", "LOGIC", "INC", "DEC", "SHL", "SAR", "BMILG"} {
		for _, size := range []string{"B", "W", "L", "Q"} {
			out = append(out, kind+size)
		}
	}
	return out
}()

// ccOthers are the operations that may be before and behind them.
var ccOthers = []string{"DYNAMIC", "EFLAGS", "ADCX", "ADOX", "ADCOX", "CLR", "POPCNT", "SBBx,x"}

// findCCNames finds the names of the values of cc_op.
func (vm *VM) findCCNames() (map[uint32]string, error) {
	data := vm.programSegments()
	// The last group's first name is in no other string of QEMU.
	last := len(ccSized) - 4
	for _, s := range data {
		for at := range occurrences(s.data, append([]byte(ccSized[last]), 0)) {
			for _, slot := range vm.pointersTo(data, s.addr+addr.HVA(at)) {
				first := slot - addr.HVA(last*vm.space.PointerSize)
				if vm.namesAt(first, ccSized) {
					return vm.ccTable(first)
				}
			}
		}
	}
	return nil, errors.New("QEMU's table of the operations that set flags was not found: is its executable at hand?")
}

// ccTable numbers the names of the table of which first is the entry of
// ccSized[0]. The table begins with DYNAMIC or EFLAGS.
func (vm *VM) ccTable(first addr.HVA) (map[uint32]string, error) {
	const before, behind = 8, 24 // entries, more than any release has
	word := addr.HVA(vm.space.PointerSize)
	start := addr.HVA(0)
	for i := addr.HVA(1); i <= before; i++ {
		if name := vm.nameAt(first - i*word); name == "DYNAMIC" || name == "EFLAGS" {
			start = first - i*word
		}
	}
	if start == 0 {
		return nil, errors.New("QEMU's table of the operations that set flags has no beginning")
	}
	names := map[uint32]string{}
	sized := uint32((first - start) / word)
	for i := range sized {
		if name := vm.nameAt(start + addr.HVA(i)*word); slices.Contains(ccOthers, name) {
			names[i] = name
		}
	}
	for i, name := range ccSized {
		names[sized+uint32(i)] = name
	}
	rest := sized + uint32(len(ccSized))
	for i := rest; i < rest+behind; i++ {
		p, err := vm.space.Pointer(start + addr.HVA(i)*word)
		if err != nil {
			break
		}
		if name := vm.nameAt(start + addr.HVA(i)*word); slices.Contains(ccOthers, name) {
			names[i] = name
		} else if p != 0 {
			break // behind the table
		}
	}
	nameUnnamed(names, rest)
	return names, nil
}

// nameUnnamed adds the operations that QEMU's table lacks. rest is the number
// behind the last of ccSized.
func nameUnnamed(names map[uint32]string, rest uint32) {
	if names[rest] == "ADCX" {
		for i := rest; names[i] != ""; i++ {
			if names[i] == "CLR" {
				names[i+1] = nameOldPopcnt
				break
			}
		}
		return
	}
	for i, size := range []string{"B", "W", "L", "Q"} {
		if n := rest + uint32(i); names[n] == "" {
			names[n] = "BLSI" + size
		}
	}
}

// namesAt reports whether the pointers from a on lead to these strings.
func (vm *VM) namesAt(a addr.HVA, names []string) bool {
	for i, name := range names {
		if vm.nameAt(a+addr.HVA(i*vm.space.PointerSize)) != name {
			return false
		}
	}
	return true
}

// nameAt is the short string that the pointer at a leads to, "" if none.
func (vm *VM) nameAt(a addr.HVA) string {
	p, err := vm.space.Pointer(a)
	if err != nil {
		return ""
	}
	s, err := vm.space.String(p, 8)
	if err != nil {
		return ""
	}
	return s
}

// programSegments reads all of QEMU's executable that is no code, as the
// process has it.
func (vm *VM) programSegments() []segment {
	p := vm.src.Process
	var out []segment
	left := uint64(maxData)
	for _, m := range p.Files() {
		flags, ok := p.Protection(m.Start)
		if m.Path != vm.src.ExePath || !ok || flags&elf.PF_X != 0 {
			continue
		}
		s := segment{m.Start, make([]byte, min(uint64(m.End-m.Start), left))}
		n, _ := p.ReadAt(s.data, int64(m.Start))
		s.data = s.data[:n]
		out = append(out, s)
		left -= uint64(n)
	}
	return out
}

// pointersTo are the places of the pointers to an address.
func (vm *VM) pointersTo(data []segment, to addr.HVA) []addr.HVA {
	p := make([]byte, vm.space.PointerSize)
	if len(p) == 4 {
		vm.space.Order.PutUint32(p, uint32(to))
	} else {
		vm.space.Order.PutUint64(p, uint64(to))
	}
	var out []addr.HVA
	for _, s := range data {
		for at := range occurrences(s.data, p) {
			if at%len(p) == 0 {
				out = append(out, s.addr+addr.HVA(at))
			}
		}
	}
	return out
}

// occurrences are the offsets of what in b.
func occurrences(b, what []byte) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], what)
			if i < 0 {
				return
			}
			if at += i; !yield(at) {
				return
			}
		}
	}
}
