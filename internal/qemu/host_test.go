package qemu

import (
	"debug/elf"
	"testing"

	"guestcore/internal/ctype"
)

// The forms of the built-in layouts on other hosts, against what Debian's QEMU
// 7.2.22 for these hosts says of itself: sizes by QOM, offsets by VMState.
func TestHostStates(t *testing.T) {
	tables, err := parseCPULayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	state, _ := tables["7.2.22"].Record("CPUState")
	for _, tt := range []struct {
		machine      elf.Machine
		size, halted uint64 // bytes
		fits         bool
	}{
		{elf.EM_X86_64, 824, 764, true},
		{elf.EM_X86_64, 832, 764, false},
		{elf.EM_S390, 904, 844, true},
		{elf.EM_S390, 904, 764, false},
		{elf.EM_S390, 928, 844, false},
		{elf.EM_AARCH64, 944, 884, true},
		{elf.EM_AARCH64, 824, 764, false},
		{elf.EM_PPC64, 1296, 1228, true},
		{elf.EM_PPC64, 1296, 1236, false},
	} {
		abi := hostABIs[tt.machine]
		told := map[string]ctype.Place{"halted": {Offset: tt.halted, Size: 4}}
		fits := false
		for _, s := range abi.states(state) {
			if !abi.fits(s, tt.size, told) {
				continue
			}
			fits = true
			if s.Members["thread_id"] != state.Members["thread_id"] || s.Members["cpu_index"].Offset != tt.halted-12 {
				t.Errorf("%v: thread_id at %d, cpu_index at %d", tt.machine, s.Members["thread_id"].Offset, s.Members["cpu_index"].Offset)
			}
		}
		if fits != tt.fits {
			t.Errorf("%v: a CPUState of %d bytes with halted at %d: fits %v", tt.machine, tt.size, tt.halted, fits)
		}
	}
}

// On s390x a MemoryRegion can have two forms where words were padded, and a
// FlatRange is a word shorter.
func TestHostTables(t *testing.T) {
	tables, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		release string
		forms   [][2]uint64 // sizeof(MemoryRegion), offset of its size
	}{
		{"2.11.0", [][2]uint64{{240, 96}}},
		{"6.1.0", [][2]uint64{{248, 96}}},
		{"7.0.0", [][2]uint64{{272, 112}, {256, 104}}},
	} {
		got := hostABIs[elf.EM_S390].tables(tables[tt.release])
		if len(got) != len(tt.forms) {
			t.Fatalf("%s has %d forms, not %d", tt.release, len(got), len(tt.forms))
		}
		for i, form := range tt.forms {
			region, _ := got[i].Record("MemoryRegion")
			if region.Size != form[0] || region.Members["size"].Offset != form[1] {
				t.Errorf("%s: MemoryRegion has %d bytes, its size is at %d", tt.release, region.Size, region.Members["size"].Offset)
			}
			if r, _ := got[i].Record("FlatRange"); r.Size != 56 {
				t.Errorf("%s: FlatRange has %d bytes", tt.release, r.Size)
			}
		}
	}
	got := hostABIs[elf.EM_AARCH64].tables(tables["11.1.3"])
	list, _ := got[0].Record("RAMList")
	space, _ := got[0].Record("AddressSpace")
	if len(got) != 1 || list.Members["blocks.lh_first"].Offset != 64 || space.Size != 168 {
		t.Errorf("aarch64: %d forms, RAMList.blocks at %d, AddressSpace of %d bytes", len(got), list.Members["blocks.lh_first"].Offset, space.Size)
	}
}
