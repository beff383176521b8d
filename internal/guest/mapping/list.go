package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Mapping is a run of guest-physical memory that has one run of virtual
// addresses.
type Mapping struct {
	Virt, Phys uint64
	Size       uint64 // bytes
}

// ErrTooMany means that the page tables map memory in more pieces than a file
// may have program headers for it.
var ErrTooMany = errors.New("too many mappings")

// maxMappings bounds the memory of a list to some 400 MiB, and the program
// headers of a dump to 112 MiB.
const maxMappings = 2 << 20

// list gathers pages into mappings with the same result as the list in QEMU
// (memory_mapping.c, the same in 7.2 and 11.1), which goes through all mappings
// for every page. The order of the pages decides the result:
//
//   - A page that goes on where the last mapping that grew ends, in virtual
//     and in physical memory, makes that one longer.
//   - Else the first mapping, in order of physical address and the newest
//     first where that is the same, takes it that has the same distance
//     between virtual and physical addresses and overlaps or touches it.
//   - Else it begins a mapping.
//
// A mapping that takes a page before its own first one grows towards lower
// virtual addresses and keeps its physical address, so that it no longer says
// what the page tables do. Linux's page tables, visited upwards, do not lead
// there; a list that is to equal QEMU's has to follow.
type list struct {
	all  []*node
	last *node // that grew or was made last
	// same are the mappings by their distance, in the order in which QEMU
	// comes to them.
	same map[uint64]*group
}

// node is a mapping and its place in time.
type node struct {
	Mapping
	made int
}

func (n *node) distance() uint64 { return n.Virt - n.Phys }

// end is the physical address behind the mapping, as QEMU reckons it.
func (n *node) end() uint64 { return n.Phys + n.Size }

// before is the order of QEMU's list.
func (n *node) before(m *node) int {
	return cmp.Or(cmp.Compare(n.Phys, m.Phys), cmp.Compare(m.made, n.made))
}

// add adds a page.
func (l *list) add(virt, phys, size uint64) error {
	if n := l.last; n != nil && phys == n.end() && virt == n.Virt+n.Size {
		l.resize(n, n.Size+size)
		return nil
	}
	g := l.same[virt-phys]
	n := g.first(phys, phys+size)
	switch {
	case n == nil:
		return l.make(Mapping{virt, phys, size})
	case phys == n.end():
		l.resize(n, n.Size+size)
	default:
		l.merge(n, virt, size)
	}
	l.last = n
	return nil
}

// merge has a mapping take a page that overlaps it, or that it begins behind.
func (l *list) merge(n *node, virt, size uint64) {
	if virt < n.Virt {
		l.same[n.distance()].remove(n)
		n.Size, n.Virt = n.Size+n.Virt-virt, virt
		l.group(n.distance()).insert(n)
	}
	// Where one ends with the last address there is, its end is 0: the
	// mapping may become shorter.
	if virt+size > n.Virt+n.Size {
		l.resize(n, virt+size-n.Virt)
	}
}

// resize moves the end of a mapping.
func (l *list) resize(n *node, size uint64) {
	n.Size = size
	g := l.same[n.distance()]
	g.measure(g.find(n))
}

func (l *list) make(m Mapping) error {
	if len(l.all) == maxMappings {
		return fmt.Errorf("%w: over %d", ErrTooMany, maxMappings)
	}
	n := &node{m, len(l.all)}
	l.all = append(l.all, n)
	l.group(n.distance()).insert(n)
	l.last = n
	return nil
}

func (l *list) group(distance uint64) *group {
	g := l.same[distance]
	if g == nil {
		if l.same == nil {
			l.same = map[uint64]*group{}
		}
		g = &group{}
		l.same[distance] = g
	}
	return g
}

// sorted is the list in QEMU's order.
func (l *list) sorted() []Mapping {
	slices.SortFunc(l.all, (*node).before)
	out := make([]Mapping, len(l.all))
	for i, n := range l.all {
		out[i] = n.Mapping
	}
	return out
}

// group is the mappings of one distance, in order.
type group struct {
	nodes []*node
	// reach is the highest end of a node up to each. A mapping may grow over
	// the beginning of the next.
	reach []uint64
}

// first is the first mapping that has a byte of what is at [phys, end), or
// touches it; nil if there is none.
func (g *group) first(phys, end uint64) *node {
	if g == nil {
		return nil
	}
	i := sort.Search(len(g.reach), func(i int) bool { return g.reach[i] >= phys })
	if i == len(g.nodes) || g.nodes[i].Phys > end {
		return nil
	}
	return g.nodes[i]
}

func (g *group) find(n *node) int {
	i, _ := slices.BinarySearchFunc(g.nodes, n, (*node).before)
	return i
}

func (g *group) insert(n *node) {
	i := g.find(n)
	g.nodes = slices.Insert(g.nodes, i, n)
	g.reach = slices.Insert(g.reach, i, 0)
	g.measure(i)
}

func (g *group) remove(n *node) {
	i := g.find(n)
	g.nodes = slices.Delete(g.nodes, i, i+1)
	g.reach = slices.Delete(g.reach, i, i+1)
	g.measure(i)
}

// measure brings reach up to date, from the node i on, which has changed.
func (g *group) measure(i int) {
	for j := i; j < len(g.nodes); j++ {
		reach := g.nodes[j].end()
		if j > 0 {
			reach = max(reach, g.reach[j-1])
		}
		if j > i && g.reach[j] == reach {
			return
		}
		g.reach[j] = reach
	}
}
