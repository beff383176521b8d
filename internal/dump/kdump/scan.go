package kdump

import (
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// scan goes through the stored pages in order and gives them to emit in
// batches: such as are zero for sure, and such as have to be read.
func (j *job) scan(emit func(batch) error) error {
	s := scanner{pages: j.pages, ranges: j.ranges, emit: emit}
	for _, r := range j.ranges {
		for part, err := range dump.Parts(j.image, r) {
			if err != nil {
				return err
			}
			if !part.Zero {
				continue
			}
			size := uint64(j.pages.size)
			first, end := int64((uint64(part.Addr)+size-1)/size), int64((uint64(part.Addr)+part.Size)/size)
			if first >= end {
				continue
			}
			if err := s.upTo(first, false); err != nil {
				return err
			}
			if err := s.upTo(end, true); err != nil {
				return err
			}
		}
	}
	return s.upTo(j.pages.end, false)
}

// maxZero is the most pages of zeros that go as one.
const maxZero = 1 << 20

type scanner struct {
	pages  *pages
	ranges []guest.Range // the memory in the pages, in order
	emit   func(batch) error
	at     int64 // all stored pages before it were emitted
}

// upTo emits the stored pages before end that were not yet.
func (s *scanner) upTo(end int64, zero bool) error {
	most := max(piece/s.pages.size, 1)
	if zero {
		most = maxZero
	}
	for _, r := range s.pages.stored[from(s.pages.stored, s.at):] {
		for s.at = max(s.at, r.first); s.at < min(r.end(), end); {
			b := batch{addr: s.pages.addr(s.at), zero: zero}
			b.first, b.count, b.index = s.at, min(most, r.end()-s.at, end-s.at), r.index+s.at-r.first
			b.memory = s.memory(b.addr, s.pages.addr(b.end()))
			if err := s.emit(b); err != nil {
				return err
			}
			s.at = b.end()
		}
		if r.end() >= end {
			break
		}
	}
	return nil
}

// memory is how many bytes of the guest lie from start to end.
func (s *scanner) memory(start, end addr.GPA) int64 {
	n := int64(0)
	for _, r := range s.ranges[sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].End() > start }):] {
		if r.Addr >= end {
			break
		}
		n += int64(min(r.End(), end) - max(r.Addr, start))
	}
	return n
}
