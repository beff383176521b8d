package qemu

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"guestcore/internal/ctype"
)

// A VMState table names elements of arrays one by one ("env.cr[3]"), and parts
// of arrays, of which it does not tell at which element they begin
// ("env.vfp.xregs" from element 2 on). What follows puts the arrays together.

// element is a member named with indices.
type element struct {
	path  string
	index []uint64
	place ctype.Place
}

var indexed = regexp.MustCompile(`\[(\d+)\]`)

// joinArrays gives the members of a table, several of them perhaps of one
// path, with each array in one piece.
func joinArrays(list []vmstateMember) map[string]ctype.Place {
	out := map[string]ctype.Place{}
	elements := map[string][]element{} // by the path with empty brackets
	for _, m := range list {
		path := indexed.ReplaceAllString(m.path, "[]")
		if path != m.path && !strings.Contains(m.path, "[]") {
			e := element{path: m.path, place: m.place}
			for _, digits := range indexed.FindAllStringSubmatch(m.path, -1) {
				n, _ := strconv.ParseUint(digits[1], 10, 32)
				e.index = append(e.index, n)
			}
			elements[path] = append(elements[path], e)
			continue
		}
		out[m.path] = joined(out[m.path], m.place)
	}
	for _, path := range slices.Sorted(maps.Keys(elements)) {
		joinElements(path, elements[path], out)
	}
	return out
}

// joined is the array of which two pieces are known. Of two members that are
// no pieces of an array the first one counts: a table may have one in several
// forms.
func joined(a, b ctype.Place) ctype.Place {
	if a == (ctype.Place{}) {
		return b
	}
	if a.Size != b.Size || a.Size == 0 || a.Count == 0 && b.Count == 0 {
		return a
	}
	start := min(a.Offset, b.Offset)
	end := max(a.Offset+a.Size*max(a.Count, 1), b.Offset+b.Size*max(b.Count, 1))
	if (end-start)%a.Size != 0 || (max(a.Offset, b.Offset)-start)%a.Size != 0 {
		return a
	}
	return ctype.Place{Offset: start, Size: a.Size, Count: (end - start) / a.Size}
}

// joinElements adds the arrays that elements of one path are of or, if they do
// not tell how far the elements are from each other, the elements themselves.
func joinElements(path string, list []element, out map[string]ctype.Place) {
	cuts := indexEnds(path)
	dims := make([]ctype.Place, len(cuts)) // Size is the stride
	first := list[0].place                 // of which all indices are 0
	for d, cut := range cuts {
		own, known := out[path[:cut-2]]
		dims[d] = ctype.Place{Size: stride(list, d), Count: 1 + slices.MaxFunc(list, func(a, b element) int { return cmp.Compare(a.index[d], b.index[d]) }).index[d]}
		if dims[d].Size == 0 && known && own.Count > 0 {
			dims[d].Size = own.Size
		}
		first.Offset -= list[0].index[d] * dims[d].Size
	}
	regular := !slices.ContainsFunc(list, func(e element) bool {
		at := first.Offset
		for d, i := range e.index {
			at += i * dims[d].Size
		}
		return at != e.place.Offset || e.place.Size != first.Size
	})
	if !regular || slices.ContainsFunc(dims, func(d ctype.Place) bool { return d.Size == 0 }) {
		for _, e := range list {
			out[e.path] = e.place
		}
		return
	}
	for d, cut := range cuts {
		array, whole := path[:cut-2], dims[d]
		whole.Offset = first.Offset
		if own, ok := out[array]; ok && cut < len(path) {
			whole.Offset = own.Offset // the member is not where its structure begins
		}
		out[array] = joined(out[array], whole)
	}
	if !strings.HasSuffix(path, "]") {
		out[path] = joined(out[path], first)
	}
}

// indexEnds are the ends of the brackets in a path.
func indexEnds(path string) []int {
	var ends []int
	for i := range len(path) - 1 {
		if path[i:i+2] == "[]" {
			ends = append(ends, i+2)
		}
	}
	return ends
}

// stride is the distance of two elements that differ in one index only, 0 if
// there are none.
func stride(list []element, d int) uint64 {
	for _, e := range list[1:] {
		a, b := list[0], e
		if a.index[d] > b.index[d] {
			a, b = b, a
		}
		same := true
		for k := range a.index {
			same = same && (k == d || a.index[k] == b.index[k])
		}
		if n := b.index[d] - a.index[d]; same && n > 0 && b.place.Offset > a.place.Offset && (b.place.Offset-a.place.Offset)%n == 0 {
			return (b.place.Offset - a.place.Offset) / n
		}
	}
	return 0
}
