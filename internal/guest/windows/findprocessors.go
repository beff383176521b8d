package windows

import (
	"fmt"

	"guestcore/internal/arch"
)

// maxProcessors is how many processors Windows can have.
const maxProcessors = 2048

// processors counts the processors by their control blocks, each of which has
// its number.
func (f *finder) processors() error {
	block, err := f.kdbg.pointer(kdbgKiProcessorBlock)
	if err != nil {
		return fmt.Errorf("reading KiProcessorBlock: %w", err)
	}
	offset, err := f.number(f.addr+kdbgPrcbNumber, 2)
	if err != nil {
		return fmt.Errorf("reading OffsetPrcbNumber: %w", err)
	}
	var prcbs []uint64
	for i := range maxProcessors {
		prcb, err := f.space.pointer(block + uint64(i*f.word))
		if err != nil || prcb == 0 {
			break
		}
		// A number of one byte, of four in newer releases.
		if n, err := f.number(prcb+offset, 1); err != nil || n != uint64(byte(i)) {
			break
		}
		prcbs = append(prcbs, prcb)
	}
	if len(prcbs) == 0 {
		return fmt.Errorf("no processor has a control block (PRCB) in KiProcessorBlock at %#x", block)
	}
	f.header.Put(NumberProcessors, uint64(len(prcbs)))
	if n, err := f.number(f.sharedAt()+sharedProcessors, 4); err == nil && n != 0 && n != uint64(len(prcbs)) {
		f.remark("KiProcessorBlock has %d processors, and KUSER_SHARED_DATA counts %d", len(prcbs), n)
	}
	f.order(prcbs)
	return nil
}

// order says which vCPU is another processor of Windows than its number says:
// debuggers will show its registers as the other's, with QEMU's own dump too.
func (f *finder) order(prcbs []uint64) {
	off, err := f.number(f.addr+kdbgPcrPrcb, 2)
	if err != nil || off == 0 {
		return
	}
	for n, cpu := range f.machine.CPUs {
		s, ok := cpu.State.(*arch.X86)
		if !ok {
			continue
		}
		for i, prcb := range prcbs {
			region := prcb - off
			mine := region == s.Segs[segFS].Base
			if f.word == 8 {
				mine = region == s.Segs[segGS].Base || region == s.KernelGSBase
			}
			if mine && i != n {
				f.remark("vCPU %d is processor %d of Windows: its registers are in the file as those of processor %d, as in QEMU's own", cpu.Index, i, n)
			}
		}
	}
}
