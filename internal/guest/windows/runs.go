package windows

import (
	"fmt"
	"math"

	"guestcore/internal/addr"
)

// Run is a run of physical memory, which the file has behind the header, one
// run behind the other.
type Run struct {
	Base  uint64 // number of its first page
	Pages uint64
}

// Addr is the address of the first byte.
func (r Run) Addr() addr.GPA { return addr.GPA(r.Base * PageSize) }

// Size is the length in bytes.
func (r Run) Size() uint64 { return r.Pages * PageSize }

// End is the address behind the last byte.
func (r Run) End() addr.GPA { return r.Addr() + addr.GPA(r.Size()) }

// runs is the table of runs, all of its slots.
func (h Header) runs() []byte {
	at := runsAt32
	if h.Wide() {
		at = runsAt64
	}
	return h[at:][:2*h.word()*h.MaxRuns()]
}

// Runs are the runs that the header lists. The error says how the list cannot
// be: more runs than it has room for, none, one that is empty, that passes the
// last address or that does not lie behind the one before.
func (h Header) Runs() ([]Run, error) {
	n, table, w := h.Uint(NumberOfRuns), h.runs(), h.word()
	switch {
	case n == 0:
		return nil, fmt.Errorf("the header lists no physical memory: the guest's driver left it unfinished")
	case n > uint64(h.MaxRuns()):
		return nil, fmt.Errorf("the header counts %d runs of physical memory and has room for %d: the guest's driver left it unfinished, or it was overwritten", n, h.MaxRuns())
	}
	var all []Run
	for i := range int(n) {
		slot := table[2*w*i:]
		r := Run{number(slot[:w]), number(slot[w : 2*w])}
		switch {
		case r.Pages == 0 || r.Base > math.MaxInt64/PageSize || r.Pages > math.MaxInt64/PageSize-r.Base:
			return nil, fmt.Errorf("run %d of the header's physical memory, %#x pages from page %#x on, cannot be: the header was overwritten", i, r.Pages, r.Base)
		case i > 0 && r.Addr() < all[i-1].End():
			return nil, fmt.Errorf("run %d of the header's physical memory begins at %#x, before the end of the last one at %#x: the header was overwritten",
				i, uint64(r.Addr()), uint64(all[i-1].End()))
		}
		all = append(all, r)
	}
	return all, nil
}

// SetRuns lists the runs, of which there are at most [Header.MaxRuns], and
// what follows from them: the number of pages and the size of the file.
func (h Header) SetRuns(runs []Run) {
	table, w := h.runs(), h.word()
	h.Put(NumberOfRuns, uint64(len(runs)))
	var pages uint64
	for i, r := range runs {
		slot := table[2*w*i:]
		putNumber(slot[:w], r.Base)
		putNumber(slot[w:2*w], r.Pages)
		pages += r.Pages
	}
	h.Put(NumberOfPages, pages)
	h.putSpace()
}

// putSpace sets the size of the file, as the number of pages has it. The small
// header has eight bytes for it, of which QEMU knows four.
func (h Header) putSpace() {
	h.Put(RequiredDumpSpace, uint64(len(h))+h.Uint(NumberOfPages)*PageSize)
}
