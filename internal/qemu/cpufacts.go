package qemu

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

// cpuFacts is what a process without debug information tells of its vCPUs'
// structures: sizes from QOM, members from VMState tables. What those leave
// out is taken from a built-in release, as far as it lies where it must.
type cpuFacts struct {
	target  cpuTarget
	name    string                              // of the layout, for the user
	notes   []string                            // what is odd, for the user
	common  uint64                              // sizeof CPUState
	whole   uint64                              // sizeof the vCPU
	env     uint64                              // the registers' place in the vCPU
	members map[string]ctype.Place              // of the vCPU, by VMState; empty if it has no tables
	envPtr  func(offset uint64) (uint64, error) // reads CPUState.env_ptr, as an offset in the vCPU
}

// cpuFacts asks the process.
func (vm *VM) cpuFacts(t cpuTarget, c vcpu) (*cpuFacts, error) {
	f := &cpuFacts{target: t, members: map[string]ctype.Place{}}
	var ok bool
	if f.common, ok = vm.isA(c.Addr, "cpu"); !ok {
		return nil, fmt.Errorf("the vCPU at %#x is of type %s, which is no cpu", uint64(c.Addr), c.Type)
	}
	if f.whole, ok = vm.isA(c.Addr, c.Type); !ok || f.whole < f.common || f.whole > maxCPUSize {
		return nil, fmt.Errorf("a vCPU of type %s has %d bytes, its CPUState %d: that cannot be", c.Type, f.whole, f.common)
	}
	f.envPtr = func(offset uint64) (uint64, error) {
		a, err := vm.space.Pointer(c.Addr + addr.HVA(offset))
		return uint64(a - c.Addr), err
	}
	var from []string
	for _, name := range []string{t.vmstate, symVMStateCommon} {
		g, err := vm.global(name)
		if err == nil {
			var members map[string]ctype.Place
			if members, err = vm.vmstate(g.Addr, f.whole); err == nil {
				maps.Copy(f.members, members)
				from = append(from, name)
				continue
			}
		}
		vm.src.Log.Debug("VMState table not used", "name", name, "reason", err)
	}
	if len(from) > 0 {
		f.name = strings.Join(from, " and ")
	}
	return f, nil
}

// state is CPUState.
func (f *cpuFacts) state(releases []cpuRelease) (ctype.Record, error) {
	for _, r := range releases {
		for _, s := range r.states {
			if s.Size != f.common {
				continue
			}
			s.Members = maps.Clone(s.Members)
			if err := f.findEnv(s); err != nil {
				f.notes = append(f.notes, err.Error())
				continue
			}
			for path := range s.Members {
				if p, ok := f.members[path]; ok && p.Offset != s.Members[path].Offset {
					f.notes = append(f.notes, fmt.Sprintf("CPUState.%s is at %d, QEMU %s has it at %d", path, p.Offset, r.version, s.Members[path].Offset))
					s.Members[path] = p
				}
			}
			f.from(r)
			return s, nil
		}
	}
	return ctype.Record{}, fmt.Errorf("%w of vCPUs: none has a CPUState of %d bytes", ErrNoLayout, f.common)
}

// from notes that a release was used.
func (f *cpuFacts) from(r cpuRelease) {
	switch {
	case f.name == "":
		f.name = r.String()
	case !strings.Contains(f.name, r.String()):
		f.name += ", " + r.String()
	}
}

// findEnv finds where the registers begin: VMState tells; else where
// CPUState.env_ptr points or, since that went in 8.2, behind CPUState.
func (f *cpuFacts) findEnv(state ctype.Record) error {
	f.env = f.common
	ptr, hasPtr := state.Members["env_ptr"]
	if hasPtr {
		env, err := f.envPtr(ptr.Offset)
		if err != nil {
			return err
		}
		if env < f.common || env >= f.whole {
			return fmt.Errorf("CPUState.env_ptr at %d does not point into the vCPU", ptr.Offset)
		}
		f.env = env
	}
	if first, ok := f.members["env."+f.target.first]; ok {
		if first.Offset != f.env {
			return fmt.Errorf("the registers begin at %d by VMState, at %d by CPUState", first.Offset, f.env)
		}
	}
	return nil
}

// registers is the structure of registers.
func (f *cpuFacts) registers(releases []cpuRelease) (ctype.Record, error) {
	known := map[string]ctype.Place{}
	for path, p := range f.members {
		if path, ok := strings.CutPrefix(path, "env."); ok && p.Offset >= f.env {
			p.Offset -= f.env
			known[path] = p
		}
	}
	best, bestWrong := (*cpuRelease)(nil), 0
	for i := range releases {
		r := &releases[i]
		wrong := f.disagreements(r, known)
		if r.tail != f.whole-f.env {
			if len(known) == 0 {
				continue
			}
			wrong++
		}
		if best == nil || wrong < bestWrong {
			best, bestWrong = r, wrong
		}
	}
	out := ctype.Record{Members: maps.Clone(known)}
	for _, r := range f.target.runs {
		if err := f.fillRun(r, known, out.Members); err != nil {
			f.notes = append(f.notes, err.Error())
		}
	}
	switch {
	case best != nil:
		if bestWrong == 0 {
			out.Size = best.env.Size
		}
		f.from(*best)
		f.fill(*best, bestWrong == 0, known, out.Members)
	case len(known) == 0:
		return out, fmt.Errorf("%w of vCPUs: no %s has %d bytes from its env on", ErrNoLayout, f.target.cpu, f.whole-f.env)
	}
	return out, nil
}

// disagreements counts the members that a release has elsewhere than VMState.
func (f *cpuFacts) disagreements(r *cpuRelease, known map[string]ctype.Place) int {
	n := 0
	for path, p := range known {
		if have, ok := r.env.Members[path]; ok && have.Offset != p.Offset {
			n++
		}
	}
	return n
}

// fillRun adds the members of a run of which some are known.
func (f *cpuFacts) fillRun(r run, known, out map[string]ctype.Place) error {
	places, err := r.fit(known)
	if err != nil || places == nil {
		return err
	}
	for i, m := range r {
		if _, ok := out[m.path]; !ok && m.path != "" {
			out[m.path] = places[i]
		}
	}
	return nil
}

// fill adds what a release has and the process did not tell: all of it if the
// two agree, else what lies between two members that are known and moved as
// one.
func (f *cpuFacts) fill(r cpuRelease, agree bool, known, out map[string]ctype.Place) {
	anchors := f.anchors(r, known)
	for path, p := range r.env.Members {
		if have, ok := out[path]; ok {
			if have.Offset == p.Offset && have.Size == p.Size {
				out[path] = p // the count of an array may be less in VMState
			}
			continue
		}
		if !agree {
			i, _ := slices.BinarySearchFunc(anchors, p.Offset, func(a anchor, off uint64) int {
				if a.there <= off {
					return -1
				}
				return 1
			})
			if i == 0 || i == len(anchors) || anchors[i-1].moved() != anchors[i].moved() {
				continue
			}
			p.Offset += anchors[i].moved()
		}
		out[path] = p
	}
}

// anchor is a member of which both a release and the process tell where it is.
type anchor struct{ there, here uint64 }

func (a anchor) moved() uint64 { return a.here - a.there } // modulo 2^64

// anchors are in the order of the release.
func (f *cpuFacts) anchors(r cpuRelease, known map[string]ctype.Place) []anchor {
	var out []anchor
	for path, p := range known {
		if have, ok := r.env.Members[path]; ok {
			out = append(out, anchor{have.Offset, p.Offset})
		}
	}
	slices.SortFunc(out, func(a, b anchor) int { return int(a.there) - int(b.there) })
	return out
}
