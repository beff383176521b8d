package kdump

import (
	"cmp"
	"fmt"
	"slices"
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// run is a number of pages, one behind the other.
type run struct {
	first int64 // page number
	count int64
	index int64 // of the first one's page descriptor; of stored pages only
}

func (r run) end() int64 { return r.first + r.count }

// pages are the pages of a guest, in order.
type pages struct {
	size   int64 // of a page, bytes
	exist  []run // what the guest has
	stored []run // what the file has of it
	count  int64 // pages in stored
	end    int64 // number behind the last page in stored
}

// newPages cuts the content into pages. A page at the edge of the guest's
// memory is filled up with zeros. One that the source lacks a part of is not
// in the file, as its bytes would be invented: the content returned is without
// it and says why.
func newPages(c *dump.Content, size int64) (*pages, *dump.Content) {
	p := &pages{size: size}
	var present, absent []run
	for _, r := range c.Ranges {
		present = append(present, p.touched(r.Addr, r.Size))
	}
	for _, x := range c.Absent {
		absent = append(absent, p.touched(x.Addr, x.Size))
	}
	present, absent = join(present), join(absent)
	p.exist = join(slices.Concat(present, absent))
	p.stored = subtract(present, absent)
	for i := range p.stored {
		p.stored[i].index = p.count
		p.count += p.stored[i].count
		p.end = p.stored[i].end()
	}
	return p, p.restrict(c)
}

// touched are the pages that hold a byte of n from a on.
func (p *pages) touched(a addr.GPA, n uint64) run {
	first, last := uint64(a)/uint64(p.size), (uint64(a)+n-1)/uint64(p.size)
	return run{first: int64(first), count: int64(last - first + 1)}
}

// join puts runs in order and makes one of those that meet or overlap.
func join(runs []run) []run {
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.first, b.first) })
	var out []run
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].end() >= r.first {
			out[n-1].count = max(out[n-1].end(), r.end()) - out[n-1].first
		} else {
			out = append(out, r)
		}
	}
	return out
}

// from is the index of the first run that ends behind a page.
func from(runs []run, page int64) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].end() > page })
}

// subtract is a without b, both joined.
func subtract(a, b []run) []run {
	var out []run
	for _, r := range a {
		at := r.first
		put := func(end int64) {
			if end > at {
				out = append(out, run{first: at, count: end - at})
			}
		}
		for _, x := range b[from(b, r.first):] {
			if x.first >= r.end() {
				break
			}
			put(x.first)
			at = x.end()
		}
		put(r.end())
	}
	return out
}

// restrict is the content as far as it is in stored pages.
func (p *pages) restrict(c *dump.Content) *dump.Content {
	out := &dump.Content{Absent: slices.Clone(c.Absent)}
	reason := fmt.Sprintf("shares a page of %d bytes with memory that is absent", p.size)
	for _, r := range c.Ranges {
		at := r.Addr
		lost := func(end addr.GPA) {
			if end > at {
				out.Absent = append(out.Absent, guest.Missing{Addr: at, Size: uint64(end - at), Reason: reason})
			}
		}
		for _, x := range p.stored[from(p.stored, int64(r.Addr)/p.size):] {
			start, end := max(p.addr(x.first), r.Addr), min(p.addr(x.end()), r.End())
			if start >= end {
				break
			}
			lost(start)
			out.Ranges = append(out.Ranges, guest.Range{Addr: start, Size: uint64(end - start), Host: r.Host + addr.HVA(start-r.Addr), ROM: r.ROM})
			at = end
		}
		lost(r.End())
	}
	slices.SortStableFunc(out.Absent, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}

// addr is the guest-physical address of a page.
func (p *pages) addr(page int64) addr.GPA { return addr.GPA(page) * addr.GPA(p.size) }

// bitmap sets the bits of runs in b, whose first bit is that of page base, and
// reports whether there are any.
func bitmap(b []byte, base int64, runs []run) bool {
	any := false
	end := base + int64(len(b))*8
	for _, r := range runs[from(runs, base):] {
		if r.first >= end {
			break
		}
		any = true
		for i := max(r.first, base) - base; i < min(r.end(), end)-base; {
			if i%8 == 0 && i+8 <= r.end()-base && i+8 <= end-base {
				b[i/8] = 0xff
				i += 8
			} else {
				b[i/8] |= 1 << (i % 8)
				i++
			}
		}
	}
	return any
}
