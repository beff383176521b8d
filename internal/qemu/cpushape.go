package qemu

import (
	"fmt"

	"guestcore/internal/ctype"
)

// A run is members of a structure that QEMU's source has had next to each
// other in all releases, with nothing between: where one of them is, the
// others are. It fills what a VMState table leaves out, and finds a table of
// offsets wrong.
type run []runMember

// runMember is one member.
type runMember struct {
	path  string // "": something of no use here
	size  uint64 // bytes, of an element
	count uint64 // elements of an array; 0: no array
}

// x86Runs are the runs of CPUX86State (target/i386/cpu.h, 2.11 to 11.1). long
// is sizeof target_ulong.
func x86Runs(long uint64) []run {
	segment := uint64(16)
	if long == 8 {
		segment = 24
	}
	runs := []run{
		{{"eip", long, 0}, {"eflags", long, 0}, {"cc_dst", long, 0}, {"cc_src", long, 0}, {"cc_src2", long, 0}, {"cc_op", 4, 0}, {"df", 4, 0},
			{"hflags", 4, 0}, {"hflags2", 4, 0}, {"segs", segment, 6}, {"ldt", segment, 0}, {"tr", segment, 0}, {"gdt", segment, 0},
			{"idt", segment, 0}, {"cr", long, 5}},
		{{"efer", 8, 0}, {"fpstt", 4, 0}, {"fpus", 2, 0}, {"fpuc", 2, 0}, {"fptags", 1, 8}},
	}
	if long == 8 { // vm_hsave is between star and lstar
		runs = append(runs, run{{"sysenter_esp", 8, 0}, {"sysenter_eip", 8, 0}, {"star", 8, 0}, {"", 8, 0}, {"lstar", 8, 0}, {"cstar", 8, 0},
			{"fmask", 8, 0}, {"kernelgsbase", 8, 0}})
	}
	return runs
}

// places lays the run out from an offset on.
func (r run) places(start uint64) []ctype.Place {
	out := make([]ctype.Place, len(r))
	for i, m := range r {
		out[i] = ctype.Place{Offset: start, Size: m.size, Count: m.count}
		start += m.size * max(m.count, 1)
	}
	return out
}

// fit finds where the run lies by those of its members that are known, which
// must all agree. It is nil if none is.
func (r run) fit(known map[string]ctype.Place) ([]ctype.Place, error) {
	rel := r.places(0)
	for i, m := range r {
		anchor, ok := known[m.path]
		if !ok {
			continue
		}
		if anchor.Offset < rel[i].Offset {
			return nil, fmt.Errorf("%s is at %d, too near the start for what comes before it in any known QEMU", m.path, anchor.Offset)
		}
		places := r.places(anchor.Offset - rel[i].Offset)
		return places, r.agree(places, known)
	}
	return nil, nil
}

// agree holds the run's places against what is known.
func (r run) agree(places []ctype.Place, known map[string]ctype.Place) error {
	for i, m := range r {
		if p, ok := known[m.path]; ok && (p.Offset != places[i].Offset || p.Size != 0 && p.Size != places[i].Size) {
			return fmt.Errorf("%s has %d bytes at %d; in any known QEMU it would have %d at %d", m.path, p.Size, p.Offset, places[i].Size, places[i].Offset)
		}
	}
	return nil
}
