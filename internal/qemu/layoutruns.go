package qemu

import (
	"fmt"
	"slices"
)

// layoutRuns are the runs of the structures that a memory walk goes through
// (include/exec/memory.h, exec/ramblock.h, hw/boards.h, qom/object.c).
var layoutRuns = map[string][][]run{
	"AddressSpace": {{{since: "2.11", members: []runMember{{"name", 8, 0}, {"root", 8, 0}, {"current_map", 8, 0}}}}},
	"FlatView":     {{{since: "2.11", members: []runMember{{"ref", 4, 0}, {"", 4, 0}, {"ranges", 8, 0}, {"nr", 4, 0}, {"nr_allocated", 4, 0}}}}},
	"FlatRange": {{{since: "2.11", members: []runMember{{"mr", 8, 0}, {"offset_in_region", 8, 0}, {"addr.start", 16, 0}, {"addr.size", 16, 0}, {"", 1, 0},
		{"romd_mode", 1, 0}, {"readonly", 1, 0}, {"nonvolatile", 1, 0}}}}},
	"MemoryRegion": {
		{
			{since: "3.1", members: []runMember{{"ram", 1, 0}, {"", 1, 0}, {"readonly", 1, 0}, {"nonvolatile", 1, 0}, {"rom_device", 1, 0}, {"", 10, 0},
				{"ram_block", 8, 0}, {"owner", 8, 0}}},
			{since: "2.11", members: []runMember{{"ram", 1, 0}, {"", 1, 0}, {"readonly", 1, 0}, {"rom_device", 1, 0}, {"", 11, 0}, {"ram_block", 8, 0}, {"owner", 8, 0}}},
		},
		{{since: "2.11", members: []runMember{{"size", 16, 0}, {"addr", 8, 0}}}},
		{{since: "2.11", members: []runMember{{"ram_device", 1, 0}, {"", 6, 0}, {"alias", 8, 0}, {"alias_offset", 8, 0}, {"", 56, 0}, {"name", 8, 0}, {"", 16, 0}, {"rdm", 8, 0}}}},
	},
	"RAMBlock": {{ // colo_cache came behind host in 3.1; resized is behind max_length
		{since: "3.1", members: []runMember{{"mr", 8, 0}, {"host", 8, 0}, {"", 8, 0}, {"offset", 8, 0}, {"used_length", 8, 0}, {"max_length", 8, 0}, {"", 8, 0},
			{"flags", 4, 0}, {"idstr", 1, idstrSize}, {"", 4, 0}, {"next", 16, 0}}},
		{since: "2.11", members: []runMember{{"mr", 8, 0}, {"host", 8, 0}, {"offset", 8, 0}, {"used_length", 8, 0}, {"max_length", 8, 0}, {"", 8, 0},
			{"flags", 4, 0}, {"idstr", 1, idstrSize}, {"", 4, 0}, {"next", 16, 0}}},
	}},
	"TypeImpl": {{{since: "2.11", members: []runMember{{"name", 8, 0}, {"", 8, 0}, {"instance_size", 8, 0}}}}},
	"MachineState": {{
		machineRun("10.0", 71), machineRun("8.2", 63), machineRun("5.0", 55), machineRun("3.0", 39), machineRun("2.12", 31), machineRun("2.11", 23),
	}},
}

// walkRuns are the structures without which there is no memory walk.
var walkRuns = slices.Concat(walkStructs, []string{"TypeImpl"})

// machineRun is the run of MachineState with so much between its two parts.
func machineRun(since string, gap uint64) run {
	return run{since: since, members: []runMember{{"dump_guest_core", 1, 0}, {"", gap, 0}, {"ram_size", 8, 0}, {"maxram_size", 8, 0}}}
}

// checkRuns holds structures of a table against what is next to what in its
// release. Layouts of debug information need no such check.
func (l layout) checkRuns(names ...string) error {
	for _, name := range names {
		r, release, ok := l.record(name)
		if !ok {
			continue
		}
		if err := checkRuns(layoutRuns[name], release, r.Members); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
