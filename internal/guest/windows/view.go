package windows

import (
	"encoding/binary"
	"fmt"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// view is the memory of the kernel as some page tables have it.
type view struct {
	space
	who     string   // whose tables they are
	entries []uint64 // addresses in the kernel, or in another module beside it
}

// views are the ways in which the kernel's memory may be mapped, likeliest
// first: as the vCPUs have it, as the kernel has it whose tables a vCPU left to
// run a program, and as a vCPU is to have it when it is started. Registers may
// be old: what they lead to tells.
func views(m *guest.Machine) []view {
	var all, left []view
	for _, cpu := range m.CPUs {
		if own := viewsOf(m, cpu); len(own) > 0 {
			all, left = append(all, own[0]), append(left, own[1:]...)
		}
	}
	return append(append(all, left...), startBlocks(m.Image)...)
}

// viewsOf are a vCPU's: as it has the kernel's memory mapped, and as the kernel
// has. There are none if the vCPU is not known to have page tables.
func viewsOf(m *guest.Machine, cpu guest.CPU) []view {
	s, ok := cpu.State.(*arch.X86)
	if !ok || !s.X86Paging().Enabled() {
		return nil
	}
	v := view{space: space{image: m.Image, paging: s.X86Paging(), word: 4}, who: fmt.Sprintf("vCPU %d", cpu.Index)}
	if cpu.Trust != guest.Valid {
		v.who += ", by registers that are " + cpu.Label()
	}
	if s.LongMode() {
		v.word = 8
	}
	v.entries = entries(v.space, s)
	return append([]view{v}, v.kernels(s)...)
}

// kernelTables is where a processor's control region has the address of the
// kernel's own page tables, on x64: kernels that hide themselves from programs
// have two sets (contrib/elf2dmp/main.c, QEMU 7.2).
const kernelTables = 0x7000

// kernels are the view with the kernel's own page tables.
func (v view) kernels(s *arch.X86) []view {
	if v.word != 8 {
		return nil
	}
	var all []view
	for _, region := range []uint64{s.KernelGSBase, s.Segs[segGS].Base} {
		cr3, err := v.pointer(region + kernelTables)
		if err != nil || region>>63 == 0 || cr3&^0xfff == 0 || cr3&^0xfff == v.paging.CR3&^0xfff {
			continue
		}
		k := v
		k.paging.CR3 = cr3
		all = append(all, k)
	}
	return all
}

// entries are addresses that a processor enters the kernel at: the handlers of
// its interrupts, and where system calls lead. Not all of them need be the
// kernel's.
func entries(v space, s *arch.X86) []uint64 {
	var all []uint64
	if s.Syscall != nil && v.word == 8 {
		all = append(all, s.Syscall.LSTAR)
	}
	if s.Sysenter != nil && v.word == 4 {
		all = append(all, s.Sysenter.EIP)
	}
	// A gate is {offset 15..0, selector, flags, offset 31..16} of 16 bits each
	// and, in long mode, offset 63..32 and 32 bits more.
	size := uint64(2 * v.word)
	for i := range min(256, (uint64(s.IDT.Limit)+1)/size) {
		gate, err := v.number(s.IDT.Base+i*size, 8)
		if err != nil {
			continue
		}
		at := gate&0xffff | gate>>48<<16
		if v.word == 8 {
			high, err := v.number(s.IDT.Base+i*size+8, 4)
			if err != nil {
				continue
			}
			at |= high << 32
		}
		all = append(all, at)
	}
	return slices.DeleteFunc(all, func(va uint64) bool { return va < PageSize || v.word == 8 && va>>47 != 1<<17-1 })
}

// startBlocks are the views that x64 has ready for processors that it starts:
// below 1 MiB, in a page of its own, is PROCESSOR_START_BLOCK:
//
//	0x00  a jump, e9 xx 06 00, and 01 00 00 00
//	0x70  where the processor goes in long mode, u64
//	0xa0  its CR3, u64; 0xc0 since Windows 11 24H2
//
// Its place and its fields are not documented; MemProcFS and others found them
// out. It tells of the kernel where no register can be relied on.
func startBlocks(im *guest.Image) []view {
	const pg, pae = 1 << 31, 1 << 5
	var all []view
	p := make([]byte, 0xc8)
	for at := addr.GPA(PageSize); at < 1<<20; at += PageSize {
		if n, _ := im.ReadAt(p, int64(at)); n < len(p) {
			continue
		}
		le := binary.LittleEndian
		target := le.Uint64(p[0x70:])
		if le.Uint64(p)&^0xff00 != 0x0000_0001_0006_00e9 || target>>43 != 1<<21-1 || target&3 != 0 {
			continue
		}
		for _, off := range []int{0xa0, 0xc0} {
			cr3 := le.Uint64(p[off:])
			if cr3 == 0 || cr3&^0xff_ffff_f000 != 0 {
				continue
			}
			s := space{image: im, paging: arch.X86Paging{CR0: pg, CR3: cr3, CR4: pae, LongMode: true}, word: 8}
			all = append(all, view{s, fmt.Sprintf("the block at %#x that processors are started by", uint64(at)), []uint64{target}})
		}
	}
	return all
}
