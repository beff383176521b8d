package extent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// space is the number of addresses a test uses: few enough that random
// extents meet in every way.
const space = 48

// cell is what a map says of one byte.
type cell struct {
	kind Kind
	off  uint64 // 0 unless kind is Data
}

// model is a map with an entry for each byte. Addresses without one are gaps.
type model map[uint64]cell

func (m model) insert(e Extent[uint64, uint64]) {
	for i := range e.Size {
		c := cell{kind: e.Kind}
		if e.Kind == Data {
			c.off = e.Off + i
		}
		m[e.Addr+i] = c
	}
}

// check holds a map against its model byte by byte, and against what every
// map promises: order, no overlap, neighbours joined.
func check(m *Map[uint64, uint64], want model) error {
	got := model{}
	sizes := map[Kind]uint64{}
	ext := m.Extents()
	if len(ext) != m.Len() {
		return fmt.Errorf("Len %d of %d extents", m.Len(), len(ext))
	}
	for i, e := range ext {
		if e.Size == 0 {
			return fmt.Errorf("extent %d is empty", i)
		}
		if e.Kind != Data && e.Off != 0 {
			return fmt.Errorf("extent %d: offset %#x without data", i, e.Off)
		}
		if i > 0 && ext[i-1].End() > e.Addr {
			return fmt.Errorf("extent %d begins before the end of the last", i)
		}
		if i > 0 && ext[i-1].joins(e) {
			return fmt.Errorf("extents %d and %d are not joined", i-1, i)
		}
		got.insert(e)
		sizes[e.Kind] += e.Size
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d bytes mapped, want %d", len(got), len(want))
	}
	for a, w := range want {
		if got[a] != w {
			return fmt.Errorf("address %#x: %v, want %v", a, got[a], w)
		}
	}
	for k := range Kind(4) {
		if m.Size(k) != sizes[k] {
			return fmt.Errorf("Size(%v) = %d, want %d", k, m.Size(k), sizes[k])
		}
	}
	return nil
}

// checkLookups holds Find and Clip against the model for every address and
// size around the space that begins at base.
func checkLookups(m *Map[uint64, uint64], base uint64, want model) error {
	for a := base; a < base+space; a++ {
		e, ok := m.Find(a)
		w, mapped := want[a]
		if ok != mapped || ok && (a < e.Addr || a >= e.End()) {
			return fmt.Errorf("Find(%#x) = %v, %v", a, e, ok)
		}
		if ok && (e.Kind != w.kind || e.Kind == Data && e.Off+(a-e.Addr) != w.off) {
			return fmt.Errorf("Find(%#x) = %v, want %v", a, e, w)
		}
		for _, size := range []uint64{0, 1, 7, space, 1 << 63, ^uint64(0)} {
			clip := model{}
			for a := range want {
				clip[a] = want[a]
			}
			for k := range clip {
				if k < a || k-a >= size {
					delete(clip, k)
				}
			}
			if err := check(&Map[uint64, uint64]{ext: m.Clip(a, size)}, clip); err != nil {
				return fmt.Errorf("Clip(%#x, %#x): %w", a, size, err)
			}
		}
	}
	return nil
}

// random is an extent inside the space at base, its data inside that at to.
func random(r *rand.Rand, base, to uint64) Extent[uint64, uint64] {
	at := r.Uint64N(space)
	e := Extent[uint64, uint64]{Addr: base + at, Size: 1 + r.Uint64N(space-at), Kind: Kind(r.UintN(4))}
	if r.UintN(2) == 0 {
		e.Kind = Data // the interesting one
	}
	if r.UintN(3) > 0 {
		e.Size = 1 + e.Size%5 // small ones leave gaps
	}
	e.Size = min(e.Size, space-at)
	e.Off = to + r.Uint64N(space-e.Size+1)
	if r.UintN(3) == 0 {
		e.Off = to + min(at, space-e.Size) // so that neighbours join
	}
	return e
}

// bases are the places of the address space a test runs at: the bottom, the
// middle and the end, where the end of the last offset is the highest there
// is.
var bases = []uint64{0, 1<<47 - space/2, ^uint64(0) - space - 1}

func TestInsertAgainstBytes(t *testing.T) {
	for _, base := range bases {
		for seed := range uint64(400) {
			r := rand.New(rand.NewPCG(seed, base))
			m, want := &Map[uint64, uint64]{}, model{}
			for i := range 1 + r.IntN(24) {
				e := random(r, base, base)
				if err := m.Insert(e); err != nil {
					t.Fatalf("base %#x seed %d insert %d: %v", base, seed, i, err)
				}
				want.insert(e)
				if err := check(m, want); err != nil {
					t.Fatalf("base %#x seed %d after insert %d of %v: %v", base, seed, i, e, err)
				}
			}
			if err := checkLookups(m, base, want); err != nil {
				t.Fatalf("base %#x seed %d: %v", base, seed, err)
			}
		}
	}
}

// composed is what Compose promises, byte by byte.
func composed(f, g model) model {
	out := model{}
	for a, c := range f {
		switch through, ok := g[c.off]; {
		case c.kind != Data:
			out[a] = cell{kind: c.kind}
		case ok:
			out[a] = through
		default:
			out[a] = cell{kind: Omitted}
		}
	}
	return out
}

func TestComposeAgainstBytes(t *testing.T) {
	for _, base := range bases {
		for seed := range uint64(2000) {
			r := rand.New(rand.NewPCG(seed, base))
			fill := func(base, to uint64) (*Map[uint64, uint64], model) {
				m, want := &Map[uint64, uint64]{}, model{}
				for range r.IntN(12) {
					e := random(r, base, to)
					if err := m.Insert(e); err != nil {
						t.Fatal(err)
					}
					want.insert(e)
				}
				return m, want
			}
			f, fm := fill(base, base+1)
			g, gm := fill(base, 1<<20)
			if err := check(Compose(f, g), composed(fm, gm)); err != nil {
				t.Fatalf("base %#x seed %d: %v\nf %v\ng %v", base, seed, err, f.ext, g.ext)
			}
		}
	}
}

func TestInsertRefuses(t *testing.T) {
	const top = ^uint64(0)
	for _, tt := range []struct {
		name string
		e    Extent[uint64, uint64]
		ok   bool
	}{
		{"empty", Extent[uint64, uint64]{Addr: 5}, false},
		{"to the last address but one", Extent[uint64, uint64]{Addr: top - 4, Size: 4, Kind: Zero}, true},
		{"address wraps to 0", Extent[uint64, uint64]{Addr: top - 3, Size: 4, Kind: Zero}, false},
		{"address wraps", Extent[uint64, uint64]{Addr: 8, Size: top - 3, Kind: Zero}, false},
		{"offset wraps", Extent[uint64, uint64]{Addr: 8, Size: 4, Off: top - 3}, false},
		{"offset is ignored without data", Extent[uint64, uint64]{Addr: 8, Size: 4, Off: top - 3, Kind: Lost}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Map[uint64, uint64]
			err := m.Insert(tt.e)
			if tt.ok != (err == nil) || err != nil && !errors.Is(err, ErrRange) {
				t.Errorf("Insert = %v", err)
			}
			if want := map[bool]int{true: 1}[tt.ok]; m.Len() != want {
				t.Errorf("%d extents, want %d", m.Len(), want)
			}
		})
	}
}

func TestCloneIsOwn(t *testing.T) {
	var m Map[uint64, uint64]
	for _, e := range []Extent[uint64, uint64]{{Addr: 0, Size: 4, Off: 10}, {Addr: 8, Size: 4, Off: 20}} {
		if err := m.Insert(e); err != nil {
			t.Fatal(err)
		}
	}
	c := m.Clone()
	if err := c.Insert(Extent[uint64, uint64]{Addr: 2, Size: 8, Kind: Zero}); err != nil {
		t.Fatal(err)
	}
	want := model{}
	want.insert(Extent[uint64, uint64]{Addr: 0, Size: 4, Off: 10})
	want.insert(Extent[uint64, uint64]{Addr: 8, Size: 4, Off: 20})
	if err := check(&m, want); err != nil {
		t.Errorf("the original changed: %v", err)
	}
}

// FuzzInsert reads four bytes as one extent: address, size, offset, kind.
func FuzzInsert(f *testing.F) {
	f.Add([]byte{0, 8, 0, 0, 8, 8, 8, 0, 4, 8, 0, 1, 6, 2, 6, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		m, want := &Map[uint64, uint64]{}, model{}
		for ; len(ops) >= 4; ops = ops[4:] {
			e := Extent[uint64, uint64]{Addr: uint64(ops[0]), Size: uint64(ops[1]), Off: uint64(ops[2]), Kind: Kind(ops[3] % 4)}
			if err := m.Insert(e); (err == nil) != (e.Size > 0) {
				t.Fatalf("Insert(%v) = %v", e, err)
			}
			want.insert(e)
		}
		if err := check(m, want); err != nil {
			t.Fatal(err)
		}
		// Composing a map with one that says the same of its offsets
		// must give what the model says.
		if err := check(Compose(m, m), composed(want, want)); err != nil {
			t.Fatalf("compose: %v", err)
		}
	})
}
