package qemu

import (
	"cmp"
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
	host    hostABI
	release string                              // of the table, what QEMU's own version is; "" if that is not known
	name    string                              // of the layout, for the user
	notes   []string                            // what is odd, for the user
	common  uint64                              // sizeof CPUState
	whole   uint64                              // sizeof the vCPU
	env     uint64                              // the registers' place in the vCPU
	members map[string]ctype.Place              // of the vCPU, by VMState; empty if it has no tables
	envPtr  func(offset uint64) (uint64, error) // reads CPUState.env_ptr, as an offset in the vCPU
	// more finds members of the registers by those that VMState tells; nil: no
	// way to do so.
	more func(known map[string]ctype.Place) (map[string]ctype.Place, error)
}

// cpuFacts asks the process.
func (vm *VM) cpuFacts(t cpuTarget, c vcpu) (*cpuFacts, error) {
	f := &cpuFacts{target: t, host: vm.abi(), members: map[string]ctype.Place{}}
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
	if t.suffix == "-arm-cpu" {
		f.more = vm.armSystemRegisters
		maps.Copy(f.members, vm.armProperties(c, f.whole))
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
		for _, s := range f.statesOf(r) {
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

// statesOf are those CPUStates of a release that can be this one. They may be
// changed.
func (f *cpuFacts) statesOf(r cpuRelease) []ctype.Record {
	host := f.host
	if r.file != "" { // made for this host
		host = hostABI{}
	}
	var out []ctype.Record
	for _, state := range r.states {
		for _, s := range host.states(state) {
			if host.fits(s, f.common, f.members) {
				s.Members = maps.Clone(s.Members)
				s.Size = f.common
				out = append(out, s)
			}
		}
	}
	return out
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
	if f.more != nil && len(known) > 0 {
		found, err := f.more(known)
		if err != nil {
			f.notes = append(f.notes, err.Error())
		}
		for path, p := range found {
			if _, ok := known[path]; !ok {
				known[path] = p
			}
		}
	}
	out := ctype.Record{Members: maps.Clone(known)}
	for _, forms := range f.target.runs {
		r, places, err := fitOne(forms, known)
		if err != nil {
			f.notes = append(f.notes, "members of vCPUs are not where they were in earlier releases: "+err.Error())
		}
		for i, m := range r {
			if _, ok := out.Members[m.path]; !ok && m.path != "" {
				out.Members[m.path] = places[i]
			}
		}
	}
	if p, ok := out.Members["vfp.fp_status"]; ok && p.Count > 0 { // a float_status begins with its flags since 7.0
		out.Members["vfp.fp_status[].float_exception_flags"] = ctype.Place{Offset: p.Offset, Size: 2}
	}
	best, breaks := f.closest(releases, out.Members)
	switch {
	case best != nil:
		if breaks == 0 {
			out.Size = best.env.Size
		}
		f.from(*best)
		f.fill(*best, breaks == 0, out.Members)
	case len(known) == 0:
		return out, fmt.Errorf("%w of vCPUs: no %s has %d bytes from its env on", ErrNoLayout, f.target.cpu, f.whole-f.env)
	}
	return out, nil
}

// closest is the release that agrees best with what is known, likeliest first,
// and how often the distance between a member here and there changes from one
// member to the next. Where nothing is known the sizes must agree.
func (f *cpuFacts) closest(releases []cpuRelease, known map[string]ctype.Place) (best *cpuRelease, breaks int) {
	for i := range releases {
		r := &releases[i]
		if f.target.untold || len(r.env.Members) == 0 || len(known) == 0 && r.tail() != f.whole-f.env {
			continue
		}
		n := 0
		anchors := f.anchors(*r, known)
		for i, a := range anchors[1:] {
			if a.moved() != anchors[i].moved() {
				n++
			}
		}
		if best == nil || n < breaks {
			best, breaks = r, n
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
		if before.moved() != anchors[next].moved() && !(f.release == r.version && before.end == p.Offset) {
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
	slices.SortFunc(out, func(a, b anchor) int { return cmp.Compare(a.there, b.there) })
	return out
}

// vcpu is the target's own vCPU. Its members are behind env, and are known
// where the release agrees in how much there is behind it.
func (f *cpuFacts) vcpu(releases []cpuRelease) ctype.Record {
	out := ctype.Record{Size: f.whole, Members: map[string]ctype.Place{"env": {Offset: f.env}}}
	for path, p := range f.members {
		if !strings.HasPrefix(path, "env.") && p.Offset > f.env {
			out.Members[path] = p
		}
	}
	i := slices.IndexFunc(releases, func(r cpuRelease) bool { return r.cpu.Size != 0 && r.tail() == f.whole-f.env })
	if i < 0 {
		return out
	}
	r := releases[i]
	for path, p := range r.cpu.Members {
		if _, ok := out.Members[path]; !ok {
			p.Offset += f.env - r.cpu.Members["env"].Offset
			out.Members[path] = p
		}
	}
	return out
}
