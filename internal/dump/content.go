package dump

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Content is the part of a machine's memory that a dump can hold.
type Content struct {
	// Ranges are the machine's ranges without what is absent, in order: one
	// that lacks its middle is two here.
	Ranges []guest.Range
	// Absent is the rest, in order.
	Absent []guest.Missing
	// Window is what was asked for; outside of it nothing is in Ranges or
	// Absent.
	Window Window
	// Sealed is the machine's.
	Sealed string
}

// Memory is the number of bytes in Ranges.
func (c *Content) Memory() int64 {
	var n uint64
	for _, r := range c.Ranges {
		n += r.Size
	}
	return int64(n)
}

// MissingError refuses a dump because the source lacks guest memory.
type MissingError struct {
	Absent  []guest.Missing
	Nothing bool // the source has none at all
}

// maxNamed is how many absent ranges a message names.
const maxNamed = 4

func (e *MissingError) Error() string {
	var n uint64
	var ranges []string
	for i, a := range e.Absent {
		n += a.Size
		if i < maxNamed {
			ranges = append(ranges, fmt.Sprintf("%#x-%#x %s", uint64(a.Addr), uint64(a.Addr)+a.Size, a.Reason))
		}
	}
	if more := len(e.Absent) - maxNamed; more > 0 {
		ranges = append(ranges, fmt.Sprintf("and %d more ranges", more))
	}
	if e.Nothing {
		return fmt.Sprintf("the source has no guest memory to write, all %s are absent (%s)", Bytes(int64(n)), strings.Join(ranges, "; "))
	}
	return fmt.Sprintf("the source lacks %s of guest memory (%s): --partial writes the rest and labels what is absent",
		Bytes(int64(n)), strings.Join(ranges, "; "))
}

// Select says which memory of m a dump holds: what is in o.Window, nonvolatile
// memory as o has it. Memory that is absent from the source is a
// [*MissingError] unless o.Partial; so is a source without any.
func Select(m *guest.Machine, o Options) (*Content, error) {
	if m.Sealed != "" && !o.Partial {
		return nil, fmt.Errorf("%s: --partial writes what there is", m.Sealed)
	}
	missing := slices.Clone(m.Missing)
	slices.SortFunc(missing, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
	known := m.Image.Map.Clone()
	for _, x := range missing {
		err := known.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: x.Addr, Size: x.Size, Kind: extent.Lost})
		if err != nil {
			return nil, fmt.Errorf("missing guest memory: %w", err)
		}
	}
	c := &Content{Window: o.Window, Sealed: m.Sealed}
	for i, r := range m.Image.Ranges {
		if r.Size == 0 || r.End() < r.Addr {
			return nil, fmt.Errorf("guest memory range %d: %#x bytes at %#x: %w", i, r.Size, uint64(r.Addr), extent.ErrRange)
		}
		if r.PMEM && o.ExcludePMEM || r.Unlisted && !o.IncludePMEM {
			continue
		}
		if r, ok := o.Window.clip(r); ok {
			c.add(r, known.Clip(r.Addr, r.Size), missing)
		}
	}
	switch {
	case len(c.Absent) > 0 && (!o.Partial || len(c.Ranges) == 0):
		return nil, &MissingError{Absent: c.Absent, Nothing: len(c.Ranges) == 0}
	case len(c.Ranges) == 0 && !o.Window.IsZero():
		return nil, fmt.Errorf("the guest has no memory in %v, it has some in %s", o.Window, someOf(m.Image.Ranges))
	case len(c.Ranges) == 0:
		return nil, errors.New("the guest has no memory: nothing to write")
	}
	return c, nil
}

// someOf names the ranges of a guest's memory for a message.
func someOf(ranges []guest.Range) string {
	var some []string
	for _, r := range ranges[:min(len(ranges), maxNamed)] {
		some = append(some, fmt.Sprintf("%#x-%#x", uint64(r.Addr), uint64(r.End())))
	}
	if more := len(ranges) - maxNamed; more > 0 {
		some = append(some, fmt.Sprintf("and %d more ranges", more))
	}
	return strings.Join(some, ", ")
}

// add takes in a range, of which known is what can be said.
func (c *Content) add(r guest.Range, known []extent.Extent[addr.GPA, addr.FileOff], missing []guest.Missing) {
	absentFrom, open := r.Addr, false // open: the last of c.Ranges may grow
	for _, e := range known {
		if !e.Kind.Present() {
			continue
		}
		if e.Addr > absentFrom {
			c.Absent = append(c.Absent, reasons(absentFrom, e.Addr, missing)...)
			open = false
		}
		if open {
			c.Ranges[len(c.Ranges)-1].Size += e.Size
		} else {
			part := r
			part.Addr, part.Size, part.Host = e.Addr, e.Size, r.Host+addr.HVA(e.Addr-r.Addr)
			c.Ranges = append(c.Ranges, part)
		}
		absentFrom, open = e.End(), true
	}
	if r.End() > absentFrom {
		c.Absent = append(c.Absent, reasons(absentFrom, r.End(), missing)...)
	}
}

// reasons splits an absent range by what missing, which is sorted, says of it.
func reasons(start, end addr.GPA, missing []guest.Missing) []guest.Missing {
	var out []guest.Missing
	put := func(to addr.GPA, reason string) {
		if to > start {
			out = append(out, guest.Missing{Addr: start, Size: uint64(to - start), Reason: reason})
			start = to
		}
	}
	const unknown = "is not in the source"
	first := sort.Search(len(missing), func(i int) bool { return missing[i].Addr+addr.GPA(missing[i].Size) > start })
	for _, x := range missing[first:] {
		if x.Addr >= end {
			break
		}
		put(x.Addr, unknown)
		put(min(x.Addr+addr.GPA(x.Size), end), x.Reason)
	}
	put(end, unknown)
	return out
}
