package qemu

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"guestcore/internal/ctype"
)

// mutant is a table that is wrong in one structure.
type mutant struct {
	what  string // is wrong
	table map[string]ctype.Record
}

// mutate moves up to three members of a structure, or all of its members from
// one on as when QEMU puts one before them, or changes its size.
func mutate(rng *rand.Rand, table map[string]ctype.Record) mutant {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(table)), func(name string) bool { return len(table[name].Members) == 0 })
	name := names[rng.IntN(len(names))]
	r := table[name]
	r.Members = maps.Clone(r.Members)
	paths := slices.Sorted(maps.Keys(r.Members))
	var what []string
	switch kind := rng.IntN(10); {
	case kind == 0 && r.Size > 0:
		r.Size = elsewhere(rng, r.Size, 2*r.Size)
		what = append(what, fmt.Sprint("of ", r.Size, " bytes"))
	case kind == 1:
		from, by := r.Members[paths[rng.IntN(len(paths))]].Offset, elsewhere(rng, 0, 64)
		for path, p := range r.Members {
			if p.Offset >= from {
				p.Offset += by
				r.Members[path] = p
			}
		}
		what = append(what, fmt.Sprint("all from ", from, " on moved by ", int64(by)))
	default:
		for range 1 + rng.IntN(3) {
			path := paths[rng.IntN(len(paths))]
			p := r.Members[path]
			was := p.Offset
			p.Offset = elsewhere(rng, was, r.Size)
			r.Members[path] = p
			what = append(what, fmt.Sprint(path, " at ", p.Offset, ", was at ", was))
		}
	}
	out := maps.Clone(table)
	out[name] = r
	return mutant{name + ": " + strings.Join(what, "; "), out}
}

// elsewhere is another offset: near, or anywhere in a structure of size bytes.
func elsewhere(rng *rand.Rand, offset, size uint64) uint64 {
	near := []uint64{1, 2, 4, 8, 16, 24, 32, 40, 64, 128}
	for {
		to := offset + near[rng.IntN(len(near))]*uint64(1-2*rng.IntN(2))
		if rng.IntN(3) == 0 && size > 0 {
			to = rng.Uint64N(size)
		}
		if to != offset {
			return to
		}
	}
}

// valid says what ParseTable does.
func (m mutant) valid() bool {
	for _, r := range m.table {
		for _, p := range r.Members {
			if r.Size > 0 && (p.Offset >= r.Size || end(p) > r.Size || p.Size > 0 && end(p) < p.Offset) {
				return false
			}
		}
	}
	return true
}
