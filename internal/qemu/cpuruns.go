package qemu

// cpuStateRuns are the runs of CPUState (hw/core/cpu.h). What tells dirty
// registers moved much: accel came between in 8.1, plugins in 9.1.
var cpuStateRuns = [][]run{
	{
		{since: "5.2", members: cpuThread(runMember{"", 2, 0}, runMember{"crash_occurred", 1, 0})},
		{since: "2.11", members: cpuThread(runMember{"", 1, 0}, runMember{"crash_occurred", 1, 0})},
	},
	{
		{since: "10.1", members: []runMember{{"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"exception_index", 4, 0}, {"vcpu_dirty", 1, 0}}},
		{since: "9.1", members: []runMember{{"vcpu_dirty", 1, 0}, {"", 19, 0}, {"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"exception_index", 4, 0}}},
		{since: "9.1", members: []runMember{{"vcpu_dirty", 1, 0}, {"", 7, 0}, {"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"exception_index", 4, 0}}},
		{since: "8.2", members: []runMember{{"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"exception_index", 4, 0}, {"", 12, 0}, {"vcpu_dirty", 1, 0}}},
		{since: "8.1", members: []runMember{{"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"", 4, 0}, {"exception_index", 4, 0}, {"", 8, 0}, {"vcpu_dirty", 1, 0}}},
		{since: "6.0", members: []runMember{{"cpu_index", 4, 0}, {"", 8, 0}, {"halted", 4, 0}, {"", 4, 0}, {"exception_index", 4, 0}, {"vcpu_dirty", 1, 0}}},
		{since: "4.0", members: []runMember{{"cpu_index", 4, 0}, {"", 4, 0}, {"halted", 4, 0}, {"", 4, 0}, {"exception_index", 4, 0}, {"vcpu_dirty", 1, 0}}},
		{since: "2.11", members: []runMember{{"cpu_index", 4, 0}, {"halted", 4, 0}, {"", 4, 0}, {"exception_index", 4, 0}, {"vcpu_dirty", 1, 0}}},
	},
}

// cpuThread is the run of what CPUState has of the vCPU's thread, with what
// follows it.
func cpuThread(more ...runMember) []runMember {
	return append([]runMember{{"thread_id", 4, 0}, {"running", 1, 0}, {"", 12, 0}, {"created", 1, 0}, {"stop", 1, 0}, {"stopped", 1, 0}}, more...)
}

// x86Runs are the runs of CPUX86State (target/i386/cpu.h). long is sizeof
// target_ulong, regs how many general registers the newest releases have.
func x86Runs(long, regs uint64) [][]run {
	segment, padding := uint64(16), uint64(0)
	if long == 8 {
		segment, padding = 24, 4
	}
	cache := []runMember{{"selector", 4, 0}, {"", padding, 0}, {"base", long, 0}, {"limit", 4, 0}, {"flags", 4, 0}} // SegmentCache
	caches := map[string][]runMember{"segs": cache, "ldt": cache, "tr": cache, "gdt": cache, "idt": cache}
	state := func(regs uint64) []runMember {
		return []runMember{{"regs", long, regs}, {"eip", long, 0}, {"eflags", long, 0}, {"cc_dst", long, 0}, {"cc_src", long, 0}, {"cc_src2", long, 0},
			{"cc_op", 4, 0}, {"df", 4, 0}, {"hflags", 4, 0}, {"hflags2", 4, 0}, {"segs", segment, 6}, {"ldt", segment, 0}, {"tr", segment, 0},
			{"gdt", segment, 0}, {"idt", segment, 0}, {"cr", long, 5}}
	}
	runs := [][]run{
		{{since: "11.0", members: state(regs), parts: caches}, {since: "2.11", members: state(min(2*long, 16)), parts: caches}}, // APX came in 11.0
		{{since: "2.11", members: []runMember{{"efer", 8, 0}, {"fpstt", 4, 0}, {"fpus", 2, 0}, {"fpuc", 2, 0}, {"fptags", 1, 8}}}},
	}
	if long == 8 {
		runs = append(runs, []run{
			{since: "11.0", members: x86Model(8392, 152, 400)},
			{since: "9.1", members: x86Model(8392, 88, 400)},
			{since: "7.1", members: x86Model(8392, 16, 400)},
			{since: "7.0", members: x86Model(10184, 16, 400)},
			{since: "6.2", members: x86Model(1928, 24, 400)},
			{since: "2.12", members: x86Model(1928, 24, 368)},
			{since: "2.11", members: x86Model(136, 24, 368)},
		})
	}
	return runs
}

// x86Model is the run from the vectors to the model-specific registers, with
// what the releases have behind the vectors (AVX-512, AMX), before tsc_aux and
// before pat. Between star and lstar is vm_hsave.
func x86Model(vectors, tscAux, pat uint64) []runMember {
	return []runMember{{"xmm_regs", 64, 32}, {"", vectors, 0}, {"sysenter_cs", 4, 0}, {"", 4, 0}, {"sysenter_esp", 8, 0}, {"sysenter_eip", 8, 0},
		{"star", 8, 0}, {"", 8, 0}, {"lstar", 8, 0}, {"cstar", 8, 0}, {"fmask", 8, 0}, {"kernelgsbase", 8, 0}, {"", tscAux, 0}, {"tsc_aux", 8, 0},
		{"xcr0", 8, 0}, {"", pat, 0}, {"pat", 8, 0}}
}

// armRuns are the runs of CPUARMState (target/arm/cpu.h).
var armRuns = [][]run{
	{
		{since: "10.2", members: []runMember{{"regs", 4, 16}, {"xregs", 8, 32}, {"pc", 8, 0}, {"pstate", 8, 0}, {"aarch64", 1, 0}, {"thumb", 1, 0}}},
		{since: "7.1", members: []runMember{{"regs", 4, 16}, {"xregs", 8, 32}, {"pc", 8, 0}, {"pstate", 4, 0}, {"aarch64", 1, 0}, {"thumb", 1, 0}}},
		{since: "2.11", members: []runMember{{"regs", 4, 16}, {"xregs", 8, 32}, {"pc", 8, 0}, {"pstate", 4, 0}, {"aarch64", 4, 0}}},
	},
	{{since: "2.11", members: []runMember{{"uncached_cpsr", 4, 0}, {"spsr", 4, 0}}}},
	{ // thumb went to the front in 7.1, btype came in 4.0
		{since: "7.1", members: armBanked(runMember{"condexec_bits", 4, 0}, runMember{"btype", 4, 0}, runMember{"daif", 8, 0}, runMember{"svcr", 8, 0},
			runMember{"elr_el", 8, 4}, runMember{"sp_el", 8, 4})},
		{since: "4.0", members: armBanked(runMember{"thumb", 4, 0}, runMember{"condexec_bits", 4, 0}, runMember{"btype", 4, 0}, runMember{"", 4, 0}, runMember{"daif", 8, 0},
			runMember{"elr_el", 8, 4}, runMember{"sp_el", 8, 4})},
		{since: "2.11", members: armBanked(runMember{"thumb", 4, 0}, runMember{"condexec_bits", 4, 0}, runMember{"daif", 8, 0}, runMember{"elr_el", 8, 4}, runMember{"sp_el", 8, 4})},
	},
	{ // FPMR came in 11.0, FPSR and FPCR in 9.1, qc in 4.0
		{since: "11.0", members: armVectors(runMember{"vfp.fpsr", 8, 0}, runMember{"vfp.fpcr", 8, 0}, runMember{"vfp.fpmr", 8, 0})},
		{since: "9.1", members: armVectors(runMember{"vfp.fpsr", 8, 0}, runMember{"vfp.fpcr", 8, 0})},
		{since: "4.0", members: armVectors()},
		{since: "2.12", members: []runMember{{"vfp.xregs", 4, 16}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}}},
		{since: "2.11", members: []runMember{{"vfp.regs", 8, 64}, {"vfp.xregs", 4, 16}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}}},
	},
	{ // the float_status are an array since 10.0, of ten since 10.1
		{since: "11.0", members: []runMember{{"vfp.xregs", 4, 16}, {"vfp.fp_status", 8, 10}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}}},
		{since: "10.1", members: []runMember{{"vfp.xregs", 4, 16}, {"vfp.fp_status", 18, 10}, {"", 4, 0}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}}},
		{since: "10.0", members: []runMember{{"vfp.xregs", 4, 16}, {"", 32, 0}, {"vfp.fp_status", 18, 8}, {"vfp.zcr_el", 8, 4}, {"vfp.smcr_el", 8, 4}}},
		{since: "7.2", members: append(armFloatStatus(14), runMember{"vfp.smcr_el", 8, 4})},
		{since: "7.0", members: armFloatStatus(12)},
	},
}

// armBanked is the run of banked registers with what follows them.
func armBanked(more ...runMember) []runMember {
	return append([]runMember{{"banked_spsr", 8, 8}, {"banked_r13", 4, 8}, {"banked_r14", 4, 8}, {"usr_regs", 4, 5}, {"fiq_regs", 4, 5},
		{"CF", 4, 0}, {"VF", 4, 0}, {"NF", 4, 0}, {"ZF", 4, 0}, {"QF", 4, 0}, {"GE", 4, 0}}, more...)
}

// armVectors is the run behind the vectors, with what the releases put in it.
func armVectors(more ...runMember) []runMember {
	r := append([]runMember{{"vfp.qc", 4, 4}, {"vfp.vec_len", 4, 0}, {"vfp.vec_stride", 4, 0}}, more...)
	return append(r, runMember{"vfp.xregs", 4, 16})
}

// armFloatStatus is the run of the four float_status of size bytes.
func armFloatStatus(size uint64) []runMember {
	r := []runMember{{"vfp.xregs", 4, 16}, {"", 32, 0}}
	for _, name := range []string{"fp_status", "fp_status_f16", "standard_fp_status", "standard_fp_status_f16"} {
		r = append(r, runMember{"vfp." + name + ".float_exception_flags", 2, 0}, runMember{"", size - 2, 0})
	}
	return append(r, runMember{"vfp.zcr_el", 8, 4})
}

// s390Runs are the runs of CPUS390XState (target/s390x/cpu.h). The reason of a
// crash came between the PSW and the condition code in 2.12.
var s390Runs = [][]run{
	{{since: "2.11", members: []runMember{{"regs", 8, 16}, {"vregs", 16, 32}, {"aregs", 4, 16}}}},
	{{since: "2.11", members: []runMember{{"fpc", 4, 0}, {"cc_op", 4, 0}}}},
	{
		{since: "2.12", members: []runMember{{"psw.mask", 8, 0}, {"psw.addr", 8, 0}, {"", 8, 0}, {"cc_src", 8, 0}, {"cc_dst", 8, 0}, {"cc_vr", 8, 0}, {"ex_value", 8, 0}}},
		{since: "2.11", members: []runMember{{"psw.mask", 8, 0}, {"psw.addr", 8, 0}, {"cc_src", 8, 0}, {"cc_dst", 8, 0}, {"cc_vr", 8, 0}, {"ex_value", 8, 0}}},
	},
	{{since: "2.11", members: []runMember{{"psa", 8, 0}, {"", 32, 0}, {"cregs", 8, 16}}}},
	{{since: "2.11", members: []runMember{{"ckc", 8, 0}, {"cputm", 8, 0}, {"todpr", 4, 0}}}},
}

// ppcRuns are the runs of CPUPPCState (target/ppc/cpu.h).
var ppcRuns = [][]run{
	{{since: "2.11", members: []runMember{{"lr", 8, 0}, {"ctr", 8, 0}, {"crf", 4, 8}, {"cfar", 8, 0}, {"xer", 8, 0}, {"so", 8, 0}, {"ov", 8, 0}, {"ca", 8, 0},
		{"ov32", 8, 0}, {"ca32", 8, 0}, {"reserve_addr", 8, 0}}}},
	{{since: "5.0", members: []runMember{{"msr", 8, 0}, {"", 32, 0}, {"nip", 8, 0}}}}, // the vectors were between before
	{ // vsr has them all since 4.0
		{since: "10.0", members: ppcVectors(8)},
		{since: "7.0", members: ppcVectors(0)},
		{since: "4.0", members: ppcVectors(4)},
		{since: "2.11", members: []runMember{{"spe_acc", 8, 0}, {"spe_fscr", 4, 0}}},
	},
	{{since: "2.11", members: []runMember{{"msr_mask", 8, 0}, {"", 32, 0}, {"insns_flags2", 8, 0}}}},
}

// ppcVectors is the run of vector registers with so much padding before them.
func ppcVectors(padding uint64) []runMember {
	return []runMember{{"vscr", 4, 0}, {"", padding, 0}, {"vsr", 16, 64}, {"vscr_sat", 16, 0}, {"spe_acc", 8, 0}, {"spe_fscr", 4, 0}}
}
