package verify

import (
	"cmp"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// OfMachine is the memory of a stopped machine as a source, and what of it is
// absent. Memory that the hypervisor's own dump leaves out is in neither.
func OfMachine(name string, m *guest.Machine) (*Source, []guest.Missing) {
	var ram, rom, present, missing []Span
	var unlisted []Span
	for _, r := range m.Image.Ranges {
		if r.Unlisted {
			unlisted = append(unlisted, Span{r.Addr, r.End()})
		} else if r.ROM {
			rom = append(rom, Span{r.Addr, r.End()})
		} else {
			ram = append(ram, Span{r.Addr, r.End()})
		}
	}
	for _, e := range m.Image.Map.Extents() {
		if e.Kind.Present() {
			present = append(present, Span{e.Addr, e.End()})
		}
	}
	for _, x := range m.Missing {
		missing = append(missing, Span{x.Addr, x.Addr + addr.GPA(x.Size)})
	}
	ram, rom, missing = Join(ram), Join(rom), Join(missing)
	present = Without(Join(present), missing)

	s := &Source{Name: name, Memory: m.Image}
	for _, x := range Common(ram, present) {
		s.Ranges = append(s.Ranges, guest.Range{Addr: x.Start, Size: x.Size()})
	}
	for _, x := range Common(rom, present) {
		s.Ranges = append(s.Ranges, guest.Range{Addr: x.Start, Size: x.Size(), ROM: true})
	}
	slices.SortFunc(s.Ranges, func(a, b guest.Range) int { return cmp.Compare(a.Addr, b.Addr) })

	absent := slices.DeleteFunc(slices.Clone(m.Missing), func(x guest.Missing) bool {
		return len(Common([]Span{{x.Addr, x.Addr + addr.GPA(x.Size)}}, Join(unlisted))) > 0
	})
	for _, x := range Without(Without(Join(slices.Concat(ram, rom)), present), missing) {
		absent = append(absent, guest.Missing{Addr: x.Start, Size: x.Size(), Reason: "is not in the source"})
	}
	slices.SortFunc(absent, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
	return s, absent
}
