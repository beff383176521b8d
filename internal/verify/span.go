package verify

import (
	"cmp"
	"fmt"
	"slices"

	"guestcore/internal/addr"
)

// Span is guest memory from Start to End.
type Span struct{ Start, End addr.GPA }

// Size is in bytes.
func (s Span) Size() uint64 { return uint64(s.End - s.Start) }

func (s Span) String() string { return fmt.Sprintf("%#x-%#x", uint64(s.Start), uint64(s.End)) }

// Join puts spans in order and makes one of those that meet or overlap.
func Join(spans []Span) []Span {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	var out []Span
	for _, s := range spans {
		if n := len(out); s.Start >= s.End {
			continue
		} else if n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Common is the memory in both of two lists, each joined.
func Common(a, b []Span) []Span {
	var out []Span
	for len(a) > 0 && len(b) > 0 {
		if s := (Span{max(a[0].Start, b[0].Start), min(a[0].End, b[0].End)}); s.Start < s.End {
			out = append(out, s)
		}
		if a[0].End < b[0].End {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// Without is the memory in a and not in b, each joined.
func Without(a, b []Span) []Span {
	var out []Span
	for _, s := range a {
		for len(b) > 0 && b[0].End <= s.Start {
			b = b[1:]
		}
		for i := 0; i < len(b) && b[i].Start < s.End; i++ {
			if b[i].Start > s.Start {
				out = append(out, Span{s.Start, b[i].Start})
			}
			s.Start = min(b[i].End, s.End)
		}
		if s.Start < s.End {
			out = append(out, s)
		}
	}
	return out
}

// Only is the memory that s holds and another source does not. ROM is apart
// where the other holds memory in blocks, as kdump files do, which leave ROM
// out. What s holds only to fill a block is in neither: the guest has no
// memory there.
func (s *Source) Only(other *Source) (only, rom []Span) {
	common := Common(s.Spans(), other.Spans())
	only = Without(s.Spans(), common)
	if s.Block > 1 {
		only = Without(only, blocks(common, s.Block))
	}
	if other.Block <= 1 {
		return only, nil
	}
	for _, r := range s.Ranges {
		if r.ROM {
			rom = append(rom, Span{r.Addr, r.End()})
		}
	}
	rom = Join(rom)
	return Without(only, rom), Common(only, rom)
}

// blocks are the whole blocks that spans touch.
func blocks(spans []Span, block uint64) []Span {
	var out []Span
	for _, s := range spans {
		b := addr.GPA(block)
		out = append(out, Span{s.Start / b * b, (s.End + b - 1) / b * b})
	}
	return Join(out)
}
