package mapping

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slow is the list as it is described: it goes through all mappings for every
// page.
type slow struct {
	list []*Mapping
	last *Mapping
}

func (s *slow) add(virt, phys, size uint64) {
	goesOn := func(m *Mapping) bool { return phys == m.Phys+m.Size && virt == m.Virt+m.Size }
	if s.last != nil && goesOn(s.last) {
		s.last.Size += size
		return
	}
	for _, m := range s.list {
		if goesOn(m) {
			m.Size += size
			s.last = m
			return
		}
		if phys+size < m.Phys {
			break
		}
		if phys >= m.Phys+m.Size || virt-m.Virt != phys-m.Phys {
			continue
		}
		if virt < m.Virt {
			m.Size, m.Virt = m.Size+m.Virt-virt, virt
		}
		if virt+size > m.Virt+m.Size {
			m.Size = virt + size - m.Virt
		}
		s.last = m
		return
	}
	m := &Mapping{virt, phys, size}
	at := slices.IndexFunc(s.list, func(x *Mapping) bool { return x.Phys >= phys })
	if at < 0 {
		at = len(s.list)
	}
	s.list = slices.Insert(s.list, at, m)
	s.last = m
}

func (s *slow) sorted() []Mapping {
	var out []Mapping
	for _, m := range s.list {
		out = append(out, *m)
	}
	return out
}

// TestListRandom adds pages in orders no guest would: to few addresses, so
// that mappings meet, overlap, grow downwards and over the last address.
func TestListRandom(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 0))
		var fast list
		var want slow
		tops := []uint64{0, 1 << 20, ^uint64(16<<12) + 1}
		for n := range 1 + r.IntN(60) {
			virt := tops[r.IntN(3)] + r.Uint64N(16)<<12
			phys := r.Uint64N(24) << 12
			if r.IntN(2) == 0 { // of a distance that others have
				phys = virt&0xffff + r.Uint64N(3)<<14
			}
			size := uint64(1+3*r.IntN(2)) << 12
			if err := fast.add(virt, phys, size); err != nil {
				t.Fatal(err)
			}
			want.add(virt, phys, size)
			if diff := cmp.Diff(want.sorted(), fast.sorted()); diff != "" {
				t.Fatalf("seed %d, page %d (%#x at %#x, %#x): want (-), got (+)\n%s", seed, n, virt, phys, size, diff)
			}
		}
	}
}
