package windows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// view is the memory of the kernel as a vCPU has it or could have it.
type view struct {
	space
	cpu   guest.CPU
	state *arch.X86
}

// views are the ways in which the vCPUs map memory, most likely first: as they
// do, and as the kernel does whose tables a vCPU has left to run a program.
func views(m *guest.Machine, stale bool) []view {
	var all, left []view
	for _, cpu := range m.CPUs {
		s, ok := cpu.State.(*arch.X86)
		if !ok || !cpu.Usable(stale) || !s.X86Paging().Enabled() {
			continue
		}
		v := view{space{image: m.Image, paging: s.X86Paging(), word: 4}, cpu, s}
		if s.LongMode() {
			v.word = 8
		}
		all = append(all, v)
		left = append(left, v.kernels()...)
	}
	return append(all, left...)
}

// kernelTables is where a processor's control region has the address of the
// kernel's own page tables, on x64: kernels that hide themselves from programs
// have two sets (contrib/elf2dmp/main.c, QEMU 7.2).
const kernelTables = 0x7000

// kernels are the view with the kernel's own page tables.
func (v view) kernels() []view {
	if v.word != 8 {
		return nil
	}
	var all []view
	for _, region := range []uint64{v.state.KernelGSBase, v.state.Segs[segGS].Base} {
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

// entries are addresses that the processor enters the kernel at: the handlers
// of its interrupts, and where system calls lead. Not all of them need be the
// kernel's.
func (v view) entries() []uint64 {
	var all []uint64
	if v.state.Syscall != nil && v.word == 8 {
		all = append(all, v.state.Syscall.LSTAR)
	}
	if v.state.Sysenter != nil && v.word == 4 {
		all = append(all, v.state.Sysenter.EIP)
	}
	// A gate is {offset 15..0, selector, flags, offset 31..16} of 16 bits each
	// and, in long mode, offset 63..32 and 32 bits more.
	size := uint64(2 * v.word)
	for i := range min(256, (uint64(v.state.IDT.Limit)+1)/size) {
		gate, err := v.number(v.state.IDT.Base+i*size, 8)
		if err != nil {
			continue
		}
		at := gate&0xffff | gate>>48<<16
		if v.word == 8 {
			high, err := v.number(v.state.IDT.Base+i*size+8, 4)
			if err != nil {
				continue
			}
			at |= high << 32
		}
		all = append(all, at)
	}
	return slices.DeleteFunc(all, func(va uint64) bool { return va < PageSize || v.word == 8 && va>>47 != 1<<17-1 })
}

// findKernel finds the kernel's image: pages down from where a processor
// enters the kernel is where the image begins.
func findKernel(m *guest.Machine, stale bool) (*image, view, error) {
	all := views(m, stale)
	if len(all) == 0 {
		return nil, view{}, errors.New("no vCPU has registers that tell of its page tables, and only those lead to the kernel")
	}
	var others []string
	for _, v := range all {
		w := walk{v: v, seen: map[uint64]bool{}}
		for _, entry := range v.entries() {
			if im := w.down(entry); im != nil {
				return im, v, nil
			}
		}
		said := "no image"
		if len(w.others) > 0 {
			said = strings.Join(w.others, ", ")
		}
		others = append(others, fmt.Sprintf("vCPU %d: %s", v.cpu.Index, said))
	}
	return nil, view{}, fmt.Errorf("Windows' kernel was not found below where a vCPU enters it (%s)", strings.Join(others, "; "))
}

// walk is a search for images.
type walk struct {
	v      view
	seen   map[uint64]bool // pages
	others []string        // images that are not the kernel's
}

// Bounds of a search.
const (
	maxOthers = 8
	maxPages  = 4 * maxImage / PageSize
)

// down goes down in memory from an address that may be in the kernel.
func (w *walk) down(entry uint64) *image {
	for page := entry &^ (PageSize - 1); entry-page < maxImage && page != 0; page -= PageSize {
		if w.seen[page] || len(w.seen) > maxPages || len(w.others) > maxOthers {
			return nil
		}
		w.seen[page] = true
		if magic, err := w.v.number(page, 2); err != nil || magic != 'M'|'Z'<<8 {
			continue
		}
		im, err := readImage(w.v.space, page)
		if err != nil || !im.has(entry) {
			continue
		}
		if im.isKernel() {
			return im
		}
		name := "an image without a name"
		if im.name() != "" {
			name = strconv.Quote(im.name())
		}
		w.others = append(w.others, fmt.Sprintf("%s at %#x", name, page))
		return nil
	}
	return nil
}
