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
func x86Runs(long uint64) [][]run {
	segment := uint64(16)
	if long == 8 {
		segment = 24
	}
	runs := [][]run{
		{{{"eip", long, 0}, {"eflags", long, 0}, {"cc_dst", long, 0}, {"cc_src", long, 0}, {"cc_src2", long, 0}, {"cc_op", 4, 0}, {"df", 4, 0},
			{"hflags", 4, 0}, {"hflags2", 4, 0}, {"segs", segment, 6}, {"ldt", segment, 0}, {"tr", segment, 0}, {"gdt", segment, 0},
			{"idt", segment, 0}, {"cr", long, 5}}},
		{{{"efer", 8, 0}, {"fpstt", 4, 0}, {"fpus", 2, 0}, {"fpuc", 2, 0}, {"fptags", 1, 8}}},
	}
	if long == 8 { // vm_hsave is between star and lstar
		runs = append(runs, []run{{{"sysenter_esp", 8, 0}, {"sysenter_eip", 8, 0}, {"star", 8, 0}, {"", 8, 0}, {"lstar", 8, 0}, {"cstar", 8, 0},
			{"fmask", 8, 0}, {"kernelgsbase", 8, 0}}})
	}
	return runs
}

// armRuns are the runs of CPUARMState (target/arm/cpu.h).
var armRuns = [][]run{
	{{{"regs", 4, 16}, {"xregs", 8, 32}, {"pc", 8, 0}}},
	{{{"uncached_cpsr", 4, 0}, {"spsr", 4, 0}}},
	{{{"banked_spsr", 8, 8}, {"banked_r13", 4, 8}, {"banked_r14", 4, 8}, {"usr_regs", 4, 5},
		{"fiq_regs", 4, 5}, {"CF", 4, 0}, {"VF", 4, 0}, {"NF", 4, 0}, {"ZF", 4, 0}, {"QF", 4, 0}, {"GE", 4, 0}}},
	{{{"elr_el", 8, 4}, {"sp_el", 8, 4}}},
	{ // FPMR came in 11.0, FPSR and FPCR in 9.1, saturation in 4.0, preg_tmp in 3.0
		{{"vfp.zregs", 256, 32}, {"vfp.pregs", 32, 17}, {"", 32, 0}, {"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0},
			{"vfp.fpsr", 8, 0}, {"vfp.fpcr", 8, 0}, {"vfp.fpmr", 8, 0}, {"vfp.xregs", 4, 16}},
		{{"vfp.zregs", 256, 32}, {"vfp.pregs", 32, 17}, {"", 32, 0}, {"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0},
			{"vfp.fpsr", 8, 0}, {"vfp.fpcr", 8, 0}, {"vfp.xregs", 4, 16}},
		{{"vfp.zregs", 256, 32}, {"vfp.pregs", 32, 17}, {"", 32, 0}, {"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0},
			{"vfp.xregs", 4, 16}},
		{{"vfp.zregs", 256, 32}, {"vfp.pregs", 32, 17}, {"", 32, 0}, {"vfp.xregs", 4, 16}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}},
		{{"vfp.zregs", 256, 32}, {"vfp.pregs", 32, 17}, {"vfp.xregs", 4, 16}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}},
		// qemu-system-arm up to 10.2 has no room for SVE.
		{{"vfp.zregs", 16, 32}, {"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}, {"vfp.fpsr", 8, 0}, {"vfp.fpcr", 8, 0},
			{"vfp.xregs", 4, 16}},
		{{"vfp.zregs", 16, 32}, {"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}, {"vfp.xregs", 4, 16}},
		{{"vfp.zregs", 16, 32}, {"vfp.xregs", 4, 16}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}},
	},
	{ // the float_status are an array since 10.0, of ten since 10.1
		{{"vfp.xregs", 4, 16}, {"vfp.fp_status", 8, 10}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}},
		{{"vfp.xregs", 4, 16}, {"vfp.fp_status", 18, 10}, {"", 4, 0}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}},
		{{"vfp.xregs", 4, 16}, {"", 32, 0}, {"vfp.fp_status", 18, 8}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}},
	},
}

// s390Runs are the runs of CPUS390XState (target/s390x/cpu.h). What is between
// the PSW and the condition code came in 2.12.
var s390Runs = [][]run{
	{{{"regs", 8, 16}, {"vregs", 16, 32}, {"aregs", 4, 16}}},
	{{{"fpc", 4, 0}, {"cc_op", 4, 0}}},
	{
		{{"psw.mask", 8, 0}, {"psw.addr", 8, 0}, {"", 8, 0}, {"cc_src", 8, 0}, {"cc_dst", 8, 0}, {"cc_vr", 8, 0}, {"ex_value", 8, 0}},
		{{"psw.mask", 8, 0}, {"psw.addr", 8, 0}, {"cc_src", 8, 0}, {"cc_dst", 8, 0}, {"cc_vr", 8, 0}, {"ex_value", 8, 0}},
	},
	{{{"ckc", 8, 0}, {"cputm", 8, 0}, {"todpr", 4, 0}}},
}

// ppcRuns are the runs of CPUPPCState (target/ppc/cpu.h). ov32 and ca32 came
// in 2.9.
var ppcRuns = [][]run{
	{{{"lr", 8, 0}, {"ctr", 8, 0}, {"crf", 4, 8}, {"cfar", 8, 0}, {"xer", 8, 0}, {"so", 8, 0}, {"ov", 8, 0}, {"ca", 8, 0}, {"ov32", 8, 0},
		{"ca32", 8, 0}, {"reserve_addr", 8, 0}}},
	{{{"spe_acc", 8, 0}, {"spe_fscr", 4, 0}}},
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

// fitOne finds the one form of a run that agrees with what is known. It is nil
// if what is known does not tell which.
func fitOne(forms []run, known map[string]ctype.Place) (run, []ctype.Place, error) {
	var fits run
	var found []ctype.Place
	var wrong error
	n := 0
	for _, r := range forms {
		places, err := r.fit(known)
		switch {
		case err != nil:
			wrong = err
		case places != nil:
			fits, found = r, places
			n++
		}
	}
	switch n {
	case 0:
		return nil, nil, wrong
	case 1:
		return fits, found, nil
	}
	return nil, nil, nil
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
