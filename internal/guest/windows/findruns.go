package windows

import (
	"fmt"

	"guestcore/internal/addr"
)

// memory takes the runs of physical memory that Windows has or, where those
// cannot be, all memory of the machine.
func (f *finder) memory() error {
	runs, err := f.windowsRuns()
	if err == nil {
		f.header.SetRuns(runs)
		return nil
	}
	f.remark("the file has the memory of the machine, not what Windows takes for its memory: %v", err)
	for _, r := range f.machine.Image.Ranges {
		from := (uint64(r.Addr) + PageSize - 1) / PageSize
		if end := uint64(r.End()) / PageSize; end > from && !r.ROM {
			runs = append(runs, Run{Base: from, Pages: end - from})
		}
	}
	if len(runs) == 0 || len(runs) > f.header.MaxRuns() {
		return fmt.Errorf("%w, and the machine's memory has %d runs, of which the header holds 1 to %d", err, len(runs), f.header.MaxRuns())
	}
	f.header.SetRuns(runs)
	return nil
}

// windowsRuns reads MmPhysicalMemoryBlock:
//
//	0      number of runs, u32
//	word   number of pages, a word
//	2 word {first page, number of pages}, a word each
func (f *finder) windowsRuns() ([]Run, error) {
	w := uint64(f.word)
	at, err := f.kdbg.pointer(kdbgMmPhysicalMemoryBlock)
	if err == nil {
		at, err = f.space.pointer(at)
	}
	var n, total uint64
	if err == nil {
		n, err = f.number(at, 4)
	}
	if err == nil {
		total, err = f.space.pointer(at + w)
	}
	if err != nil {
		return nil, fmt.Errorf("reading MmPhysicalMemoryBlock: %w", err)
	}
	if n == 0 || n > uint64(f.header.MaxRuns()) {
		return nil, fmt.Errorf("MmPhysicalMemoryBlock counts %d runs, and the header holds 1 to %d", n, f.header.MaxRuns())
	}
	table := make([]byte, 2*w*n)
	if err := f.read(table, at+2*w); err != nil {
		return nil, fmt.Errorf("reading the runs of MmPhysicalMemoryBlock: %w", err)
	}
	// The header checks them as it does a driver's.
	h := NewHeader(f.word == 8)
	h.Put(NumberOfRuns, n)
	copy(h.runs(), table)
	runs, err := h.Runs()
	if err != nil {
		return nil, fmt.Errorf("MmPhysicalMemoryBlock: %w", err)
	}
	var pages uint64
	for _, r := range runs {
		pages += r.Pages
		for _, a := range []addr.GPA{r.Addr(), r.End() - 1} {
			if !f.machine.HasMemory(a) {
				return nil, fmt.Errorf("MmPhysicalMemoryBlock has a run at %#x to %#x, where the machine has no memory", uint64(r.Addr()), uint64(r.End()))
			}
		}
	}
	if pages != total {
		return nil, fmt.Errorf("MmPhysicalMemoryBlock counts %d pages, and its runs have %d", total, pages)
	}
	return runs, nil
}
