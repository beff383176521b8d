package linux

import (
	"debug/elf"
	"strconv"
	"strings"

	"guestcore/internal/arch"
)

// Info is what a kernel says of itself in its VMCOREINFO, KEY=value lines
// (kernel/vmcore_info.c).
type Info map[string]string

// ParseInfo reads VMCOREINFO. Lines that are none of it are skipped.
func ParseInfo(text []byte) Info {
	info := Info{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n\x00"), "="); ok {
			info[key] = value
		}
	}
	return info
}

// wellFormed reports whether text is all VMCOREINFO, from the first line to
// the last, and not what something else has left of one.
func wellFormed(text string) bool {
	if !strings.HasPrefix(text, "OSRELEASE=") || !strings.HasSuffix(text, "\n") {
		return false
	}
	for line := range strings.Lines(text) {
		key, _, ok := strings.Cut(line, "=")
		if !ok || key == "" || strings.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

// Release is the kernel's release, as uname -r says it.
func (i Info) Release() string { return i["OSRELEASE"] }

// Symbol is the address of a symbol, as the kernel runs.
func (i Info) Symbol(name string) (uint64, bool) { return i.hex("SYMBOL(" + name + ")") }

// Offset is the offset of a member in its structure, bytes.
func (i Info) Offset(member string) (uint64, bool) {
	n, err := strconv.ParseUint(i["OFFSET("+member+")"], 10, 32)
	return n, err == nil
}

// Number is a number, which kernels write in decimal and, with 0x, in
// hexadecimal.
func (i Info) Number(name string) (int64, bool) {
	s := i["NUMBER("+name+")"]
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 64)
		return int64(n), err == nil
	}
	return 0, false
}

// KernelOffset is how far from where it was linked the kernel runs, bytes.
func (i Info) KernelOffset() (uint64, bool) { return i.hex("KERNELOFFSET") }

func (i Info) hex(key string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(i[key], "0x"), 16, 64)
	return n, err == nil
}

// startKernelMap is __START_KERNEL_map of x86-64: phys_base is the physical
// address it would have (arch/x86/include/asm/page_64_types.h).
const startKernelMap = 0xffff_ffff_8000_0000

// phys is the physical address of what the kernel has among its own symbols,
// reckoned as the note says; ok is false where it does not say.
func (i Info) phys(g arch.Guest, va uint64) (pa uint64, ok bool) {
	switch g.Machine {
	case elf.EM_X86_64:
		base, ok := i.Number("phys_base")
		return va - startKernelMap + uint64(base), ok && va >= startKernelMap
	case elf.EM_AARCH64:
		off, ok := i.Number("kimage_voffset")
		return va - uint64(off), ok
	case elf.EM_RISCV:
		off, ok := i.Number("va_kernel_pa_offset")
		return va - uint64(off), ok
	case elf.EM_S390:
		at, ok := i.hex("KERNELOFFPHYS") // since 6.10; before, virtual and physical are the same
		if !ok {
			return va, true
		}
		off, ok := i.KernelOffset()
		return va - off + at, ok
	case elf.EM_PPC64:
		const linear = 0xc << 60
		return va &^ linear, va&linear == linear
	}
	return 0, false
}
