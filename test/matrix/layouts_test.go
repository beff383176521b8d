package matrix

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// layoutKey tells a note's layout.
type layoutKey struct {
	machine elf.Machine
	size    int // of the descriptor, in bytes
	note    string
}

// layouts name the registers in the notes, for people: the comparison itself knows bytes only. The sources are QEMU 7.2,
// target/*/arch_dump.c and target/i386/arch_dump.c, and Linux, include/uapi/linux/elfcore.h and asm/ptrace.h of each
// architecture.
var layouts = map[layoutKey][]field{
	{elf.EM_X86_64, 336, "CORE/0x1"}: fields(run(32, 4, "pid"), run(112, 8, "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi "+
		"orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs fpvalid")),
	{elf.EM_386, 144, "CORE/0x1"}: fields(run(24, 4, "pid"), run(72, 4, "ebx ecx edx esi edi ebp eax ds es fs gs orig_eax eip cs "+
		"eflags esp ss fpvalid")),
	{elf.EM_X86_64, 440, "QEMU/0x0"}: qemuCPUState,
	{elf.EM_386, 440, "QEMU/0x0"}:    qemuCPUState,

	{elf.EM_AARCH64, 392, "CORE/0x1"}:     fields(run(32, 4, "pid"), run(112, 8, numbered("x", 31)+" sp pc pstate"), run(384, 4, "fpvalid")),
	{elf.EM_AARCH64, 528, "CORE/0x2"}:     fields(run(0, 16, numbered("v", 32)), run(512, 4, "fpsr fpcr")),
	{elf.EM_AARCH64, 592, "LINUX/0x405"}:  sve(16),
	{elf.EM_AARCH64, 2224, "LINUX/0x405"}: sve(64),
	{elf.EM_ARM, 148, "CORE/0x1"}:         fields(run(24, 4, "pid"), run(72, 4, numbered("r", 16)+" cpsr orig_r0 fpvalid")),
	{elf.EM_ARM, 260, "LINUX/0x400"}:      fields(run(0, 8, numbered("d", 32)), run(256, 4, "fpscr")),
	{elf.EM_RISCV, 376, "CORE/0x1"}:       fields(run(32, 4, "pid"), run(112, 8, "pc "+after("x", 1, 31)+" fpvalid")),
	{elf.EM_S390, 336, "CORE/0x1"}:        fields(run(32, 4, "pid"), run(112, 8, "psw.mask psw.addr "+numbered("r", 16)), run(256, 4, numbered("a", 16)), run(320, 8, "orig_r2")),
	{elf.EM_S390, 136, "CORE/0x2"}:        fields(run(0, 4, "fpc pad"), run(8, 8, numbered("f", 16))),
	{elf.EM_S390, 4, "LINUX/0x305"}:       fields(run(0, 4, "prefix")),
	{elf.EM_S390, 128, "LINUX/0x304"}:     fields(run(0, 8, numbered("c", 16))),
	{elf.EM_S390, 8, "LINUX/0x301"}:       fields(run(0, 8, "cputm")),
	{elf.EM_S390, 8, "LINUX/0x302"}:       fields(run(0, 8, "todcmp")),
	{elf.EM_S390, 4, "LINUX/0x303"}:       fields(run(0, 4, "todpreg")),
	{elf.EM_S390, 128, "LINUX/0x309"}:     fields(run(0, 8, numbered("vlow", 16))),
	{elf.EM_S390, 256, "LINUX/0x30a"}:     fields(run(0, 16, after("v", 16, 16))),
	{elf.EM_S390, 32, "LINUX/0x30b"}:      fields(run(0, 8, "reserved gsd gssm gsepla")),
	{elf.EM_PPC64, 504, "CORE/0x1"}:       fields(run(32, 4, "pid"), run(112, 8, numbered("r", 32)+" nip msr orig_r3 ctr lr xer ccr softe trap dar dsisr result")),
	{elf.EM_PPC64, 264, "CORE/0x2"}:       fields(run(0, 8, numbered("f", 32)+" fpscr")),
	{elf.EM_PPC64, 544, "CORE/0x100"}:     fields(run(0, 16, numbered("v", 32)), run(512, 4, "vscr.0 vscr.1 vscr.2 vscr vrsave")),
	{elf.EM_PPC64, 256, "CORE/0x102"}:     fields(run(0, 8, numbered("vsr", 32))),
	{elf.EM_PPC64, 140, "CORE/0x101"}:     fields(run(0, 4, numbered("evr", 32)), run(128, 8, "acc"), run(136, 4, "spefscr")),
	{elf.EM_LOONGARCH, 480, "CORE/0x1"}:   fields(run(32, 4, "pid"), run(112, 8, numbered("r", 32)+" orig_a0 era badv")),
	{elf.EM_LOONGARCH, 268, "CORE/0x2"}:   fields(run(0, 8, numbered("f", 32)+" fcc"), run(264, 4, "fcsr")),
}

// qemuCPUState is x86's note with what the kernel's has no place for.
var qemuCPUState = fields(run(0, 4, "version size"), run(8, 8, "rax rbx rcx rdx rsi rdi rsp rbp "+after("r", 8, 8)+" rip rflags"),
	segments(152, "cs ds es fs gs ss ldt tr gdt idt"), run(392, 8, "cr0 cr1 cr2 cr3 cr4 kernel_gs_base"))

// sve is Arm's note of vectors with vl bytes each (Linux, struct user_sve_header and SVE_PT_SVE_… in asm/ptrace.h).
func sve(vl int) []field {
	const z = 16
	p := z + 32*vl
	fpsr := (p + 17*vl/8 + 15) &^ 15
	return fields(run(0, 4, "size max_size"), run(8, 2, "vl max_vl flags reserved"), run(z, vl, numbered("z", 32)),
		run(p, vl/8, numbered("p", 16)+" ffr"), run(fpsr, 4, "fpsr fpcr"))
}

// run lists fields of one size, names separated by blanks, from an offset on.
func run(off, size int, names string) []field {
	var list []field
	for _, name := range strings.Fields(names) {
		list = append(list, field{name, off, off + size})
		off += size
	}
	return list
}

// segments lists the QEMU note's segments: selector, limit, flags and what fills up, 4 bytes each, and the base, 8.
func segments(off int, names string) []field {
	var list []field
	for i, name := range strings.Fields(names) {
		at := off + 24*i
		for _, f := range append(run(at, 4, "selector limit flags pad"), field{"base", at + 16, at + 24}) {
			list = append(list, field{name + "." + f.name, f.off, f.end})
		}
	}
	return list
}

func fields(runs ...[]field) []field { return slices.Concat(runs...) }

// numbered is "x0 x1 …", n names.
func numbered(prefix string, n int) string { return after(prefix, 0, n) }

// after is n names from prefix and the number first on.
func after(prefix string, first, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " %s%d", prefix, first+i)
	}
	return b.String()
}
