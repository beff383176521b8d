package qemu

import (
	"cmp"
	"slices"

	"guestcore/internal/ctype"
)

// anchor is a place in the registers that a release and the process both tell.
type anchor struct {
	there, here uint64
	end         uint64 // there; 0: not known
}

func (a anchor) moved() uint64 { return a.here - a.there } // modulo 2^64

// anchors are the members that both know, and the start and the end of what
// the vCPU has from env on, in the order of the release.
func (f *cpuFacts) anchors(r cpuRelease, known map[string]ctype.Place) []anchor {
	out := []anchor{{0, 0, 0}, {r.tail(), f.whole - f.env, 0}}
	for path, p := range known {
		if have, ok := r.env.Members[path]; ok {
			a := anchor{have.Offset, p.Offset, 0}
			if have.Size == p.Size {
				a.end = end(have)
			}
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b anchor) int { return cmp.Or(cmp.Compare(a.there, b.there), cmp.Compare(a.here, b.here)) })
	return out
}

// closest is the release that agrees best with what is known, likeliest first,
// and how often the distance between a member here and there changes from one
// member to the next. A release that has members in another order is none.
func (f *cpuFacts) closest(releases []cpuRelease, known map[string]ctype.Place) (best *cpuRelease, breaks int) {
	for i := range releases {
		n := 0
		anchors := f.anchors(releases[i], known)
		ordered := slices.IsSortedFunc(anchors, func(a, b anchor) int { return cmp.Compare(a.here, b.here) })
		for i, a := range anchors[1:] {
			if a.moved() != anchors[i].moved() {
				n++
			}
		}
		if !ordered {
			continue
		}
		if best == nil || n < breaks {
			best, breaks = &releases[i], n
		}
	}
	return best, breaks
}

// fill adds what a release has and the process did not tell: all of it if the
// two agree. If not, what lies between two members that are known and moved as
// one; and, in QEMU's own release, what follows one that is known and is no
// larger here than there.
func (f *cpuFacts) fill(r cpuRelease, agree bool, out map[string]ctype.Place) {
	anchors := f.anchors(r, out)
	var missing []string
	for path, p := range r.env.Members {
		have, ok := out[path]
		switch {
		case ok && have.Offset == p.Offset && have.Size == p.Size:
			out[path] = p // the count of an array may be less in VMState
		case ok:
		case agree:
			out[path] = p
		default:
			missing = append(missing, path)
		}
	}
	slices.SortFunc(missing, func(a, b string) int { return cmp.Compare(r.env.Members[a].Offset, r.env.Members[b].Offset) })
	for _, path := range missing {
		p := r.env.Members[path]
		next := slices.IndexFunc(anchors, func(a anchor) bool { return a.there > p.Offset })
		if next <= 0 {
			continue
		}
		before := anchors[next-1]
		if before.moved() != anchors[next].moved() && !(r.own && before.end == p.Offset) {
			continue
		}
		anchors = slices.Insert(anchors, next, anchor{p.Offset, p.Offset + before.moved(), end(p)})
		p.Offset += before.moved()
		out[path] = p
	}
}

// end is where a member ends, 0 if its size is not known.
func end(p ctype.Place) uint64 {
	if p.Size == 0 {
		return 0
	}
	return p.Offset + p.Size*max(p.Count, 1)
}
