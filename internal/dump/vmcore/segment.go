package vmcore

import (
	"math"
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest/mapping"
)

// segment is what a PT_LOAD says of guest memory. The memory itself is in the
// file once, as [layout.loads] have it, however many segments show it.
type segment struct {
	virt, phys uint64
	size       uint64 // bytes, in memory
	fileSize   uint64 // bytes, in the file
	offset     uint64 // in the file; nowhere if the file has none of it
}

// nowhere is the p_offset of memory that is not in the file.
const nowhere = math.MaxUint64

// inWindow is the part of the mappings that lies in a window, as
// memory_mapping_filter of QEMU cuts them (system/memory_mapping.c, 11.1).
func inWindow(list []mapping.Mapping, w dump.Window) []mapping.Mapping {
	if w.IsZero() || list == nil {
		return list
	}
	out := []mapping.Mapping{} // nil would stand for no paging
	begin, end := uint64(w.Begin), uint64(w.Begin)+w.Length
	for _, m := range list {
		if m.Phys >= end || m.Phys+m.Size <= begin {
			continue
		}
		if m.Phys < begin {
			before := begin - m.Phys
			m.Phys, m.Size = begin, m.Size-before
			if m.Virt != 0 {
				m.Virt += before
			}
		}
		m.Size = min(m.Size, end-m.Phys)
		out = append(out, m)
	}
	return out
}

// segments are the PT_LOADs, once loads have their offsets.
func (l *layout) segments() []segment {
	if l.mappings == nil {
		var out []segment
		for _, x := range l.loads {
			out = append(out, segment{uint64(x.Addr), uint64(x.Addr), x.Size, x.Size, uint64(x.offset)})
		}
		return out
	}
	out := make([]segment, 0, len(l.mappings))
	for _, m := range l.mappings {
		s := segment{virt: m.Virt, phys: m.Phys, size: m.Size, offset: nowhere}
		if s.virt == 0 {
			s.virt = s.phys // as in QEMU's dumps
		}
		if i, ok := l.loadAt(addr.GPA(s.phys)); ok {
			x := l.loads[i]
			s.offset = uint64(x.offset) + s.phys - uint64(x.Addr)
			s.fileSize = min(s.size, uint64(x.End())-s.phys)
		}
		out = append(out, s)
	}
	return out
}

// shown is how many bytes of memory in the file some segment shows.
func shown(segments []segment) int64 {
	var n, end uint64 // end: of what is counted
	for _, s := range segments {
		from, to := max(s.phys, end), s.phys+s.fileSize
		if to > from {
			n, end = n+to-from, to
		}
	}
	return int64(n)
}

// loadAt finds the load that holds an address.
func (l *layout) loadAt(a addr.GPA) (int, bool) {
	i := sort.Search(len(l.loads), func(i int) bool { return a < l.loads[i].End() })
	return i, i < len(l.loads) && l.loads[i].Addr <= a
}
