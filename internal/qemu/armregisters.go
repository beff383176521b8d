package qemu

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestcore/internal/ctype"
)

// QEMU has static tables of Arm's system registers, struct ARMCPRegInfo
// (target/arm/cpregs.h): the name first, and somewhere behind it the register's
// place in CPUARMState. VMState tells nothing of these members; it tells of
// ELR_EL1, SP_EL0 and SP_EL1, by which it is found how far behind the name.

// armRegister is a system register and the member it is kept in.
type armRegister struct {
	name  string
	path  string
	index int // in an array by exception level, -1 if the member is none
	// banked: the place is the second of the two that follow the usual one, that
	// of AArch32's non-secure state.
	banked bool
}

var armRegisters = []armRegister{
	{"SCTLR_EL2", "cp15.sctlr_el", 2, false}, {"SCTLR_EL3", "cp15.sctlr_el", 3, false},
	{"TTBR0_EL2", "cp15.ttbr0_el", 2, false}, {"TTBR0_EL3", "cp15.ttbr0_el", 3, false}, {"TTBR0_EL1", "cp15.ttbr0_el", 1, true},
	{"TTBR1_EL1", "cp15.ttbr1_el", 1, true}, {"TTBR1_EL2", "cp15.ttbr1_el", 2, false},
	{"TCR_EL1", armTCR, 1, false}, {"TCR_EL2", armTCR, 2, false}, {"TCR_EL3", armTCR, 3, false},
	{"HCR_EL2", "cp15.hcr_el2", -1, false}, {"SCR_EL3", "cp15.scr_el3", -1, false}, {"DAIF", "daif", -1, false},
	{"ZCR_EL1", "vfp.zcr_el", 1, false}, {"ZCR_EL2", "vfp.zcr_el", 2, false}, {"ZCR_EL3", "vfp.zcr_el", 3, false},
	{"SMCR_EL1", "vfp.smcr_el", 1, false}, {"SMCR_EL2", "vfp.smcr_el", 2, false}, {"SMCR_EL3", "vfp.smcr_el", 3, false},
	{"SVCR", "svcr", -1, false},
}

// armTCR has elements of 16 bytes up to 7.0, and of 8 since.
const armTCR = "cp15.tcr_el"

// armAnchors are the registers whose members VMState tells.
var armAnchors = []armRegister{{"ELR_EL1", "elr_el", 1, false}, {"SP_EL0", "sp_el", 0, false}, {"SP_EL1", "sp_el", 1, false}}

// maxRegInfo bounds sizeof ARMCPRegInfo, bytes; it had 136 to 216.
const maxRegInfo = 256

// armFacts finds the members of CPUARMState that system registers are kept in,
// and those of ARMCPU that properties stand for.
func armFacts(vm *VM, c vcpu, f *cpuFacts) {
	vm.armProperties(c, f)
	if len(f.regs) == 0 {
		return
	}
	found, err := vm.armSystemRegisters(f.regs)
	if err != nil {
		f.notes = append(f.notes, err.Error())
	}
	for path, p := range found {
		if _, ok := f.regs[path]; !ok {
			f.regs[path] = p
		}
	}
}

// armSystemRegisters finds the members that system registers are kept in. known
// are those that VMState tells.
func (vm *VM) armSystemRegisters(known map[string]ctype.Place) (map[string]ctype.Place, error) {
	infos := vm.armInfos()
	at, err := armFieldOffset(infos, known)
	if err != nil {
		return nil, err
	}
	out := map[string]ctype.Place{}
	for path, registers := range armByMember() {
		p, ok := armMember(registers, infos, at)
		if ok {
			out[path] = p
		}
		if ok && p.Size == 16 {
			out[armTCR+"[].raw_tcr"] = ctype.Place{Offset: p.Offset, Size: 8}
		}
	}
	return out, nil
}

func armByMember() map[string][]armRegister {
	out := map[string][]armRegister{}
	for _, r := range armRegisters {
		out[r.path] = append(out[r.path], r)
	}
	return out
}

// findARMInfos reads what begins with a pointer to the name of a register, in
// words.
func (vm *VM) findARMInfos() map[string][][]uint64 {
	var names []string
	for _, r := range slices.Concat(armRegisters, armAnchors) {
		names = append(names, r.name)
	}
	out := map[string][][]uint64{}
	for name, places := range vm.named(names) {
		for _, a := range places {
			var info [maxRegInfo]byte
			if _, err := vm.space.Mem.ReadAt(info[:], int64(a)); err != nil {
				continue
			}
			words := make([]uint64, maxRegInfo/8)
			for k := range words {
				words[k] = vm.space.Word(info[8*k:])
			}
			out[name] = append(out[name], words)
		}
	}
	return out
}

// armFieldOffset finds in which word behind the name the place is.
func armFieldOffset(infos map[string][][]uint64, known map[string]ctype.Place) (word int, err error) {
	fits := map[int]int{}
	for _, a := range armAnchors {
		place, ok := known[a.path]
		if !ok {
			return 0, fmt.Errorf("VMState does not tell of %s", a.path)
		}
		words := map[int]bool{}
		for _, info := range infos[a.name] {
			for k, v := range info {
				if k > 0 && v == place.Offset+uint64(a.index)*place.Size {
					words[k] = true
				}
			}
		}
		for k := range words {
			fits[k]++
		}
	}
	for _, k := range slices.Sorted(maps.Keys(fits)) {
		if fits[k] == len(armAnchors) {
			return k, nil
		}
	}
	return 0, fmt.Errorf("no table of Arm's system registers has those that VMState tells of")
}

// armMember is the member that registers are kept in, if all that is found
// agrees.
func armMember(registers []armRegister, infos map[string][][]uint64, word int) (ctype.Place, bool) {
	places := map[int]uint64{} // by index
	for _, r := range registers {
		at := word
		if r.banked {
			at += 2
		}
		for _, info := range infos[r.name] {
			v := info[at]
			if v == 0 || v%8 != 0 || v > maxCPUSize { // a constant register has no place
				continue
			}
			if have, ok := places[r.index]; ok && have != v {
				return ctype.Place{}, false
			}
			places[r.index] = v
		}
	}
	if at, ok := places[-1]; ok {
		return ctype.Place{Offset: at, Size: 8}, true
	}
	indices := slices.Sorted(maps.Keys(places))
	if len(indices) == 0 || len(indices) == 1 && registers[0].path == armTCR {
		return ctype.Place{}, false
	}
	p := ctype.Place{Size: 8, Count: 4}
	if last := indices[len(indices)-1]; last > indices[0] {
		p.Size = (places[last] - places[indices[0]]) / uint64(last-indices[0])
	}
	p.Offset = places[indices[0]] - uint64(indices[0])*p.Size
	for i, at := range places {
		if p.Offset+uint64(i)*p.Size != at {
			return ctype.Place{}, false
		}
	}
	return p, p.Size == 8 || p.Size == 16 && registers[0].path == armTCR
}

// armPropertyMembers are the members of ARMCPU that properties stand for.
var armPropertyMembers = map[string]struct {
	path string
	size uint64
}{
	"has_el2": {"has_el2", 1}, "has_el3": {"has_el3", 1}, "vfp": {"has_vfp", 1}, "neon": {"has_neon", 1},
	"sve128": {"sve_vq.map", 4}, "sme128": {"sme_vq.map", 4}, // since 7.1; before, the properties stood for no member
}

// armProperties finds the members of an ARMCPU that its properties tell. A
// processor without vectors of many lengths has no property of them.
func (vm *VM) armProperties(c vcpu, f *cpuFacts) {
	properties, err := vm.properties(c.Addr)
	if err != nil {
		vm.src.Log.Debug("properties of a vCPU not used", "reason", err)
		return
	}
	for name, m := range armPropertyMembers {
		p, ok := properties[name]
		if !ok {
			f.absent[m.path] = strings.HasSuffix(m.path, ".map")
			continue
		}
		if off, ok := vm.memberOf(c.Addr, f.whole, name, p); ok {
			f.own[m.path] = ctype.Place{Offset: off, Size: m.size}
		}
	}
}
