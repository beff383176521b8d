// Package extent maps one address space onto another: ordered extents that do
// not overlap, each of which says where its bytes are or why there are none.
// A FlatView is such a map (GPA to HVA), so are a core's segments (HVA to
// file); [Compose] joins the two once, and a dump then knows for each byte of
// guest memory which byte of which file it is.
//
// It reads no files and knows no QEMU. Below it is only package addr's idea
// of what an address is.
package extent

import (
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Kind says what is known of an extent's bytes.
type Kind uint8

const (
	// Data bytes lie at Off.
	Data Kind = iota
	// Zero bytes all read as zero; nothing stores them.
	Zero
	// Omitted bytes were left out by whoever made the source: never-touched
	// memory (which reads as zero), memory excluded on purpose, or memory
	// that is in a file of its own. Who knows more may say which.
	Omitted
	// Lost bytes should be in the source, but it ends before them.
	Lost
)

func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Zero:
		return "zero"
	case Omitted:
		return "omitted"
	case Lost:
		return "lost"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Present reports whether the bytes are known: stored somewhere, or zero.
func (k Kind) Present() bool { return k == Data || k == Zero }

// Extent is Size bytes from Addr on. Off is where they lie when Kind is Data,
// and has no meaning otherwise.
type Extent[A, B ~uint64] struct {
	Addr A
	Size uint64
	Off  B
	Kind Kind
}

// End is the address behind the last byte.
func (e Extent[A, B]) End() A { return e.Addr + A(e.Size) }

// sub is the part of e from start to end, which lie in it.
func (e Extent[A, B]) sub(start, end A) Extent[A, B] {
	if e.Kind == Data {
		e.Off += B(start - e.Addr)
	}
	e.Addr, e.Size = start, uint64(end-start)
	return e
}

// joins reports whether next goes on where e ends, in both spaces.
func (e Extent[A, B]) joins(next Extent[A, B]) bool {
	return e.End() == next.Addr && e.Kind == next.Kind &&
		(e.Kind != Data || e.Off+B(e.Size) == next.Off)
}

// ErrRange is returned for an extent that is empty or passes the end of its
// address space.
var ErrRange = errors.New("extent is empty or wraps around")

// Map is a set of extents in the order of their addresses, none overlapping.
// The zero value is an empty map. A Map may be read by several goroutines as
// long as nobody inserts.
type Map[A, B ~uint64] struct {
	ext []Extent[A, B]
}

// Insert adds e. Where it overlaps what is there, e wins. Extents that go on
// in both spaces are joined.
func (m *Map[A, B]) Insert(e Extent[A, B]) error {
	if e.Size == 0 || uint64(e.Addr)+e.Size < uint64(e.Addr) ||
		e.Kind == Data && uint64(e.Off)+e.Size < uint64(e.Off) {
		return fmt.Errorf("%#x bytes at %#x: %w", e.Size, uint64(e.Addr), ErrRange)
	}
	if e.Kind != Data {
		e.Off = 0
	}
	lo := m.search(e.Addr)
	hi := lo
	var repl []Extent[A, B]
	for ; hi < len(m.ext) && m.ext[hi].Addr < e.End(); hi++ {
		if old := m.ext[hi]; old.Addr < e.Addr {
			repl = append(repl, old.sub(old.Addr, e.Addr))
		}
	}
	repl = append(repl, e)
	if hi > lo {
		if old := m.ext[hi-1]; old.End() > e.End() {
			repl = append(repl, old.sub(e.End(), old.End()))
		}
	}
	// Take in the neighbours, so that joining sees them.
	if lo > 0 {
		lo--
		repl = slices.Insert(repl, 0, m.ext[lo])
	}
	if hi < len(m.ext) {
		repl = append(repl, m.ext[hi])
		hi++
	}
	m.ext = slices.Replace(m.ext, lo, hi, join(repl)...)
	return nil
}

// join merges neighbours in place.
func join[A, B ~uint64](ext []Extent[A, B]) []Extent[A, B] {
	out := ext[:1]
	for _, e := range ext[1:] {
		if last := &out[len(out)-1]; last.joins(e) {
			last.Size += e.Size
		} else {
			out = append(out, e)
		}
	}
	return out
}

// search is the index of the first extent that ends behind a.
func (m *Map[A, B]) search(a A) int {
	return sort.Search(len(m.ext), func(i int) bool { return m.ext[i].End() > a })
}

// Find returns the extent that holds a.
func (m *Map[A, B]) Find(a A) (Extent[A, B], bool) {
	i := m.search(a)
	if i == len(m.ext) || m.ext[i].Addr > a {
		return Extent[A, B]{}, false
	}
	return m.ext[i], true
}

// Clip returns the parts of the map inside [start, start+size), in order.
// Addresses that the map does not hold are left out.
func (m *Map[A, B]) Clip(start A, size uint64) []Extent[A, B] {
	if size == 0 {
		return nil
	}
	end := start + A(size)
	if end < start {
		end = ^A(0)
	}
	var out []Extent[A, B]
	for i := m.search(start); i < len(m.ext) && m.ext[i].Addr < end; i++ {
		e := m.ext[i]
		out = append(out, e.sub(max(e.Addr, start), min(e.End(), end)))
	}
	return out
}

// Extents returns all extents in order. The slice is the map's own.
func (m *Map[A, B]) Extents() []Extent[A, B] { return m.ext }

// Len is the number of extents.
func (m *Map[A, B]) Len() int { return len(m.ext) }

// Size is the sum of the sizes of the extents of a kind.
func (m *Map[A, B]) Size(k Kind) uint64 {
	var n uint64
	for _, e := range m.ext {
		if e.Kind == k {
			n += e.Size
		}
	}
	return n
}

// Clone returns a copy that may be changed on its own.
func (m *Map[A, B]) Clone() *Map[A, B] {
	return &Map[A, B]{ext: slices.Clone(m.ext)}
}

// Compose returns the map from A to C that goes through B: where f has data,
// what g says of those addresses, with [Omitted] where g holds nothing; where
// f has none, what f says. Addresses that f does not hold stay out.
func Compose[A, B, C ~uint64](f *Map[A, B], g *Map[B, C]) *Map[A, C] {
	out := &Map[A, C]{}
	add := func(e Extent[A, C]) {
		if n := len(out.ext); n > 0 && out.ext[n-1].joins(e) {
			out.ext[n-1].Size += e.Size
			return
		}
		out.ext = append(out.ext, e)
	}
	for _, e := range f.ext {
		if e.Kind != Data {
			add(Extent[A, C]{Addr: e.Addr, Size: e.Size, Kind: e.Kind})
			continue
		}
		at := e.Off
		hole := func(to B) {
			if to > at {
				add(Extent[A, C]{Addr: e.Addr + A(at-e.Off), Size: uint64(to - at), Kind: Omitted})
			}
		}
		for _, x := range g.Clip(e.Off, e.Size) {
			hole(x.Addr)
			add(Extent[A, C]{Addr: e.Addr + A(x.Addr-e.Off), Size: x.Size, Off: x.Off, Kind: x.Kind})
			at = x.End()
		}
		hole(e.Off + B(e.Size))
	}
	return out
}
