package windmp

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/windows"
)

// layout is where the memory of a crash dump is in the file.
type layout struct {
	parts   []part
	size    int64 // of the file, bytes
	remarks []string
}

// part is a part of a run.
type part struct {
	guest.Range
	off  int64 // in the file
	zero bool  // nothing is known of it: it is zeros in the file
}

// newLayout lays out the runs of a header. Memory that the source lacks is
// taken out of them, in the header too. What no memory of the guest is behind
// is zeros, as in QEMU's own dump.
func newLayout(h windows.Header, im *guest.Image, c *dump.Content) (*layout, error) {
	runs, err := h.Runs()
	if err != nil {
		return nil, fmt.Errorf("%w: use the elf format", err)
	}
	l := &layout{}
	if err := l.check(runs, im); err != nil {
		return nil, err
	}
	shown, total := runs, pages(runs)
	if len(c.Absent) > 0 || c.Memory() < int64(im.Size()) {
		shown = l.fit(without(runs, im, c), h.MaxRuns())
	}
	if len(shown) == 0 {
		return nil, &dump.MissingError{Absent: c.Absent, Nothing: true}
	}
	if said := h.Uint(windows.NumberOfPages); said != total {
		l.remarks = append(l.remarks, fmt.Sprintf("the header counted %d pages, and its runs have %d: it counts those now", said, total))
	}
	if h.Uint(windows.NumberOfPages) != pages(shown) || len(shown) != len(runs) {
		h.SetRuns(shown)
	}
	l.size = int64(len(h))
	for _, r := range shown {
		for p := range split(guest.Range{Addr: r.Addr(), Size: r.Size()}, c.Ranges) {
			p.off = l.size
			l.parts = append(l.parts, p)
			l.size += int64(p.Size)
		}
	}
	if left := c.Memory() - l.memory(); left > 0 {
		l.remarks = append(l.remarks, fmt.Sprintf("%s of guest memory are in none of the runs that Windows takes for its memory, and not in the file, as in QEMU's own: the elf format has them",
			dump.Bytes(left)))
	}
	return l, nil
}

// check says which runs have no memory of the guest behind them, and refuses
// runs that are no guest's.
func (l *layout) check(runs []windows.Run, im *guest.Image) error {
	var nowhere uint64
	var first addr.GPA
	for _, r := range runs {
		for p := range split(guest.Range{Addr: r.Addr(), Size: r.Size()}, im.Ranges) {
			if !p.zero {
				continue
			}
			if nowhere == 0 {
				first = p.Addr
			}
			nowhere += p.Size
		}
	}
	switch {
	case nowhere > im.Size():
		return fmt.Errorf("the header's runs have %s where the guest has no memory, the first at %#x: the header is not this guest's, or was overwritten; use the elf format",
			dump.Bytes(int64(nowhere)), uint64(first))
	case nowhere > 0:
		l.remarks = append(l.remarks, fmt.Sprintf("%s of what Windows takes for its memory, the first at %#x, is none that a dump can have: the file has zeros there",
			dump.Bytes(int64(nowhere)), uint64(first)))
	}
	return nil
}

// ranges are the parts that guest memory is behind.
func (l *layout) ranges() []guest.Range {
	var all []guest.Range
	for _, p := range l.parts {
		if !p.zero {
			all = append(all, p.Range)
		}
	}
	return all
}

// memory is how many bytes they have.
func (l *layout) memory() int64 { return (&dump.Content{Ranges: l.ranges()}).Memory() }

// split goes through a range in order: what others, which are in order, have
// of it, and as zeros what is between them.
func split(r guest.Range, others []guest.Range) func(yield func(part) bool) {
	return func(yield func(part) bool) {
		at := r.Addr
		put := func(to addr.GPA, zero bool) bool {
			if to <= at {
				return true
			}
			p := part{Range: guest.Range{Addr: at, Size: uint64(to - at)}, zero: zero}
			at = to
			return yield(p)
		}
		first := sort.Search(len(others), func(i int) bool { return others[i].End() > r.Addr })
		for _, o := range others[first:] {
			if o.Addr >= r.End() {
				break
			}
			if !put(o.Addr, true) || !put(min(o.End(), r.End()), false) {
				return
			}
		}
		put(r.End(), true)
	}
}

// without takes those pages out of the runs which the guest has memory for and
// the content lacks, be it in part.
func without(runs []windows.Run, im *guest.Image, c *dump.Content) []windows.Run {
	var out []windows.Run
	for _, r := range runs {
		from := r.Base // the first page that may stay
		for p := range split(guest.Range{Addr: r.Addr(), Size: r.Size()}, im.Ranges) {
			if p.zero {
				continue
			}
			for lost := range split(p.Range, c.Ranges) {
				if !lost.zero {
					continue
				}
				if page := uint64(lost.Addr) / windows.PageSize; page > from {
					out = append(out, windows.Run{Base: from, Pages: page - from})
				}
				from = (uint64(lost.End()) + windows.PageSize - 1) / windows.PageSize
			}
		}
		if end := r.Base + r.Pages; end > from {
			out = append(out, windows.Run{Base: from, Pages: end - from})
		}
	}
	return out
}

// fit joins runs until there are at most as many as the header has room for.
// What is between those, the shortest first, are zeros.
func (l *layout) fit(runs []windows.Run, room int) []windows.Run {
	over := len(runs) - room
	if over <= 0 {
		return runs
	}
	gap := func(i int) uint64 { return runs[i].Base - (runs[i-1].Base + runs[i-1].Pages) } // before run i
	byGap := make([]int, len(runs)-1)
	for i := range byGap {
		byGap[i] = i + 1
	}
	slices.SortStableFunc(byGap, func(a, b int) int { return cmp.Compare(gap(a), gap(b)) })
	joined := make([]bool, len(runs)) // to the one before
	for _, i := range byGap[:over] {
		joined[i] = true
	}
	var out []windows.Run
	var filled uint64
	for i, r := range runs {
		if !joined[i] {
			out = append(out, r)
			continue
		}
		filled += gap(i)
		last := &out[len(out)-1]
		last.Pages = r.Base + r.Pages - last.Base
	}
	l.remarks = append(l.remarks, fmt.Sprintf("without what is absent memory has %d runs, and the header room for %d: %s between the closest ones are zeros in the file",
		len(runs), room, dump.Bytes(int64(filled*windows.PageSize))))
	return out
}

func pages(runs []windows.Run) uint64 {
	var n uint64
	for _, r := range runs {
		n += r.Pages
	}
	return n
}
