package qemu

import "guestcore/internal/cvalue"

// Bits of x86's registers (Intel SDM, volume 3, chapter 2; AMD APM volume 2)
// and of QEMU's hflags, which repeats some of them (target/i386/cpu.h).
const (
	cr0PE, cr0ET, cr0PG = 1 << 0, 1 << 4, 1 << 31
	cr0All              = 0xe005_003f
	cr4PAE              = 1 << 5
	eferLME, eferLMA    = 1 << 8, 1 << 10
	eferAll             = 0x36_fd01
	eflagsOne           = 1 << 1
	eflagsNone          = 1<<3 | 1<<5 | 1<<15
	dr6One, dr6Maybe    = 0xfffe_07f0, 0x1_f80f
	dr7One              = 1 << 10

	hfCPL  = 3
	hfPE   = 1 << 7
	hfLMA  = 1 << 14
	hfCS64 = 1 << 15

	segDPL = 3 << 13
	segS   = 1 << 12 // code or data
	segP   = 1 << 15
	segL   = 1 << 21
)

// checkX86 checks CPUX86State.
func checkX86(env *cvalue.Object) error {
	c := &claims{env: env}
	c.x86Control()
	c.x86Segments()
	c.x86Model()
	c.x86Float()
	return c.err()
}

// x86Control checks the control registers against each other and against what
// hflags says of them.
func (c *claims) x86Control() {
	cr0, cr4, hflags := c.value("cr[0]"), c.value("cr[4]"), c.value("hflags")
	eflags := c.value("eflags")
	c.that(c.value("cr[1]") == 0, "CR1 is not 0")
	c.that(cr0&cr0ET != 0 && cr0&^cr0All == 0, "CR0 %#x cannot be", cr0)
	c.that(c.value("cr[3]")>>52&0x1ff == 0, "CR3 %#x cannot be", c.value("cr[3]"))
	c.that(cr4>>33 == 0, "CR4 %#x cannot be", cr4)
	c.that(eflags&eflagsOne != 0 && eflags&eflagsNone == 0 && eflags>>22 == 0, "EFLAGS %#x cannot be", eflags)
	c.that(hflags&hfPE != 0 == (cr0&cr0PE != 0), "hflags %#x and CR0 %#x disagree", hflags, cr0)
	c.that(cr0&cr0PG == 0 || cr0&cr0PE != 0, "CR0 %#x has paging without protection", cr0)
	if c.known("cc_op") {
		c.that(c.value("cc_op") < 256, "cc_op %d cannot be", c.value("cc_op"))
	}
	if c.known("df") {
		df := int32(c.value("df"))
		c.that(df >= -1 && df <= 1, "df %d is none of 1, -1 and, before the first instruction, 0", df)
	}
	if c.known("a20_mask") {
		a20 := uint32(c.value("a20_mask"))
		c.that(a20|1<<20 == 1<<32-1, "a20_mask %#x cannot be", a20)
	}
	if !c.known("efer") {
		return
	}
	efer := c.value("efer")
	c.that(efer&^eferAll == 0, "EFER %#x cannot be", efer)
	c.that(efer&eferLMA != 0 == (hflags&hfLMA != 0), "hflags %#x and EFER %#x disagree", hflags, efer)
	c.that(efer&eferLMA != 0 == (efer&eferLME != 0 && cr0&cr0PG != 0), "EFER %#x and CR0 %#x disagree", efer, cr0)
	c.that(efer&eferLMA == 0 || cr4&cr4PAE != 0, "CR4 %#x cannot be in long mode", cr4)
	if c.known("eip") && c.value("hflags")&hfCS64 != 0 {
		c.that(canonical(c.value("eip")), "RIP %#x is not canonical", c.value("eip"))
	}
}

// x86Segments checks the segment registers.
func (c *claims) x86Segments() {
	hflags := c.value("hflags")
	segment := func(path string) (flags uint64) {
		selector, base := c.value(path+".selector"), c.value(path+".base")
		c.that(selector <= 0xffff, "selector of %s is %#x", path, selector)
		c.that(canonical(base), "base of %s is %#x, not canonical", path, base)
		return c.value(path + ".flags")
	}
	for _, path := range []string{"segs[0]", "segs[3]", "segs[4]", "segs[5]", "ldt"} {
		segment(path)
	}
	cs, ss, tr := segment("segs[1]"), segment("segs[2]"), segment("tr")
	c.that(cs&(segP|segS) == segP|segS, "flags of CS are %#x", cs)
	c.that(tr&(segP|segS|1<<8) == segP|1<<8, "flags of TR are %#x", tr) // an available or a busy TSS
	for _, table := range []string{"gdt", "idt"} {
		flags, limit := segment(table), c.value(table+".limit")
		c.that(limit <= 0xffff && flags == 0 && c.value(table+".selector") == 0, "%s has limit %#x and flags %#x", table, limit, flags)
	}
	if hflags&hfLMA == 0 {
		return
	}
	cpl := hflags & hfCPL
	c.that(cs&segL != 0 == (hflags&hfCS64 != 0), "hflags %#x and the flags of CS, %#x, disagree", hflags, cs)
	c.that(c.value("segs[1].selector")&3 == cpl && ss&segDPL>>13 == cpl, "CS is %#x and the flags of SS are %#x at privilege %d",
		c.value("segs[1].selector"), ss, cpl)
}

// x86Model checks model-specific and debug registers. Those that are not known
// are not checked.
func (c *claims) x86Model() {
	for _, path := range []string{"lstar", "cstar", "kernelgsbase", "sysenter_esp", "sysenter_eip"} {
		if c.known(path) {
			c.that(canonical(c.value(path)), "%s is %#x, not canonical", path, c.value(path))
		}
	}
	if c.known("fmask") { // TCG keeps what the guest wrote, with the sign of a number of 32 bits too
		c.that(int64(c.value("fmask"))>>32 == 0 || int64(c.value("fmask"))>>32 == -1, "fmask is %#x", c.value("fmask"))
	}
	for path, most := range map[string]uint64{"sysenter_cs": 0xffff, "tsc_aux": 1<<32 - 1} {
		if c.known(path) {
			c.that(c.value(path) <= most, "%s is %#x", path, c.value(path))
		}
	}
	if c.known("xcr0") {
		c.that(c.value("xcr0")&1 != 0 && c.value("xcr0")>>63 == 0, "XCR0 %#x cannot be", c.value("xcr0"))
	}
	if c.known("pat") {
		pat, ok := c.value("pat"), c.value("pat") != 0
		for i := range 8 {
			kind := pat >> (8 * i) & 0xff
			ok = ok && kind < 8 && kind != 2 && kind != 3
		}
		c.that(ok, "PAT %#x cannot be", pat)
	}
	if c.known("dr[7]") {
		dr6, dr7 := c.value("dr[6]"), c.value("dr[7]")
		c.that(dr6&dr6One == dr6One && dr6&^(dr6One|dr6Maybe) == 0, "DR6 %#x cannot be", dr6)
		c.that(dr7&dr7One != 0 && dr7>>32 == 0, "DR7 %#x cannot be", dr7)
		for i, same := range map[string]uint64{"dr[4]": dr6, "dr[5]": dr7} { // KVM copies them
			c.that(c.value(i) == 0 || c.value(i) == same, "%s is %#x", i, c.value(i))
		}
	}
}

// x86Float checks x87 and SSE.
func (c *claims) x86Float() {
	if c.known("fpstt") {
		c.that(c.value("fpstt") < 8, "fpstt is %d", c.value("fpstt"))
	}
	if c.known("fptags") {
		for i, tag := range c.env.Uints("fptags") {
			c.that(tag <= 1, "fptags[%d] is %d", i, tag)
		}
	}
	if c.known("mxcsr") {
		c.that(c.value("mxcsr") <= 0x3ffff, "MXCSR is %#x", c.value("mxcsr")) // AMD has a bit 17
	}
}
