package qemu

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
)

// cpuFacts is what a process without debug information tells of its vCPUs'
// structures: sizes from QOM, members from VMState tables and from what else
// QEMU knows of itself. What those leave out is taken from a release of a
// table, as far as something vouches for it.
type cpuFacts struct {
	target  cpuTarget
	host    hostABI
	version string // of QEMU, "" if unknown
	common  uint64 // sizeof CPUState
	whole   uint64 // sizeof the vCPU
	env     uint64 // the registers' place in the vCPU

	state map[string]ctype.Place // members of CPUState
	regs  map[string]ctype.Place // of the registers
	own   map[string]ctype.Place // of the vCPU that are not in one of the two
	// absent are those that the process says it has not.
	absent map[string]bool

	from  []string // where all this is from, for the user
	notes []string // what is odd, for the user
}

// cpuFacts asks the process.
func (vm *VM) cpuFacts(t cpuTarget, c vcpu) (*cpuFacts, error) {
	f := &cpuFacts{target: t, host: vm.abi(), version: vm.version(), state: map[string]ctype.Place{}, regs: map[string]ctype.Place{}, own: map[string]ctype.Place{}, absent: map[string]bool{}}
	var ok bool
	if f.common, ok = vm.isA(c.Addr, "cpu"); !ok {
		return nil, fmt.Errorf("the vCPU at %#x is of type %s, which is no cpu", uint64(c.Addr), c.Type)
	}
	if f.whole, ok = vm.isA(c.Addr, c.Type); !ok || f.whole < f.common || f.whole > maxCPUSize {
		return nil, fmt.Errorf("a vCPU of type %s has %d bytes, its CPUState %d: that cannot be", c.Type, f.whole, f.common)
	}
	members := map[string]ctype.Place{}
	for _, name := range []string{t.vmstate, symVMStateCommon} {
		m, err := vm.cpuVMState(name, c, f.whole)
		if err != nil {
			vm.src.Log.Debug("VMState table not used", "name", name, "reason", err)
			continue
		}
		maps.Copy(members, m)
		f.from = append(f.from, name)
	}
	if first, ok := members["env."+t.first]; ok {
		f.env = first.Offset
	}
	for path, p := range members {
		path, isReg := strings.CutPrefix(path, "env.")
		switch {
		case isReg && p.Offset >= f.env:
			p.Offset -= f.env
			f.regs[path] = p
		case isReg || p.Offset == 0: // a place of no member: QEMU computes what it migrates
		case p.Offset < f.common:
			f.state[path] = p
		default:
			f.own[path] = p
		}
	}
	if t.more != nil {
		t.more(vm, c, f)
	}
	return f, nil
}

// cpuVMState reads a VMState table by its symbol.
func (vm *VM) cpuVMState(name string, c vcpu, size uint64) (map[string]ctype.Place, error) {
	g, err := vm.global(name)
	if err != nil {
		return nil, err
	}
	return vm.vmstate(g.Addr, size)
}

// name says where the layout is from.
func (f *cpuFacts) name() string { return strings.Join(f.from, ", ") }

// used notes that a release was used.
func (f *cpuFacts) used(r cpuRelease) {
	if !slices.Contains(f.from, r.String()) {
		f.from = append(f.from, r.String())
	}
}

// fillRuns adds the members that are next to known ones. It returns an error if
// the known ones are not next to each other as they should be.
func fillRuns(groups [][]run, version string, members map[string]ctype.Place) error {
	var errs []error
	for _, forms := range groups {
		r, places, err := fitOne(formsOf(forms, version), members)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for i, m := range r.members {
			if _, ok := members[m.path]; !ok && m.path != "" {
				members[m.path] = places[i]
			}
			for path, p := range r.inside(m, places[i]) {
				if _, ok := members[path]; !ok {
					members[path] = p
				}
			}
		}
	}
	return errors.Join(errs...)
}

// commonRecord is CPUState: that of a release which has its size, and in which
// what the process tells is where it tells; with none, what the process tells.
// It also settles where the registers are: VMState tells; else CPUState.env_ptr
// points there or, since that went in 8.2, they follow CPUState.
func (f *cpuFacts) commonRecord(releases []cpuRelease, envPtr func(offset uint64) (uint64, error)) (ctype.Record, error) {
	failed := fmt.Errorf("none has a CPUState of %d bytes", f.common)
	for _, r := range releases {
		for _, s := range f.statesOf(r) {
			members := s.Members
			for path, p := range f.state {
				if have, ok := members[path]; ok && have.Offset != p.Offset {
					failed = fmt.Errorf("CPUState.%s is at %d by VMState, at %d by %s", path, p.Offset, have.Offset, r)
					members = nil
					break
				}
				members[path] = p
			}
			if members == nil {
				continue
			}
			err := checkRuns(cpuStateRuns, r.version, members)
			if err == nil {
				err = f.findEnv(members, envPtr)
			}
			if err != nil {
				failed = fmt.Errorf("CPUState of %s: %w", r, err)
				continue
			}
			f.used(r)
			return ctype.Record{Size: s.Size, Members: members}, nil
		}
	}
	if len(f.state) == 0 || len(f.regs) == 0 {
		return ctype.Record{}, fmt.Errorf("%w of vCPUs: %w", ErrNoLayout, failed)
	}
	f.notes = append(f.notes, fmt.Sprintf("CPUState is like none of the known ones (%v): vCPUs are numbered in QEMU's order, and what they were doing is not known", failed))
	return ctype.Record{Size: f.common, Members: maps.Clone(f.state)}, nil
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
			if host.fits(s, f.common, f.state) {
				s.Members = maps.Clone(s.Members)
				s.Size = f.common
				out = append(out, s)
			}
		}
	}
	return out
}

func (f *cpuFacts) findEnv(state map[string]ctype.Place, envPtr func(offset uint64) (uint64, error)) error {
	env := f.common
	if ptr, ok := state["env_ptr"]; ok {
		var err error
		if env, err = envPtr(ptr.Offset); err != nil {
			return err
		}
		if env < f.common || env >= f.whole {
			return fmt.Errorf("env_ptr at %d does not point into the vCPU", ptr.Offset)
		}
	}
	if f.env != 0 && f.env != env {
		return fmt.Errorf("the registers begin at %d by VMState, at %d by CPUState", f.env, env)
	}
	f.env = env
	return nil
}

// registers is the structure of registers.
func (f *cpuFacts) registers(releases []cpuRelease) (ctype.Record, error) {
	releases = slices.DeleteFunc(slices.Clone(releases), func(r cpuRelease) bool { return f.target.untold || len(r.env.Members) == 0 })
	if len(f.regs) == 0 {
		return f.unproven(releases)
	}
	out := ctype.Record{Members: maps.Clone(f.regs)}
	if err := fillRuns(f.target.runs, f.version, out.Members); err != nil {
		f.notes = append(f.notes, "registers are not where they were in earlier releases: "+err.Error())
	}
	if p, ok := out.Members["vfp.fp_status"]; ok && p.Count > 0 { // a float_status begins with its flags since 7.0
		out.Members["vfp.fp_status[].float_exception_flags"] = ctype.Place{Offset: p.Offset, Size: 2}
	}
	releases = slices.DeleteFunc(releases, func(r cpuRelease) bool { return checkRuns(f.target.runs, r.listed, r.env.Members) != nil })
	if r, breaks := f.closest(releases, out.Members); r != nil {
		if breaks == 0 {
			out.Size = r.env.Size
		}
		f.used(*r)
		f.fill(*r, breaks == 0, out.Members)
	}
	return out, nil
}

// unproven is the registers of a process that tells nothing of them: of the
// likeliest release that agrees in how much there is behind env, what is next
// to each other there as it was in all releases. The checks of the registers'
// values have to prove it, and only x86's say enough.
func (f *cpuFacts) unproven(releases []cpuRelease) (ctype.Record, error) {
	failed := fmt.Errorf("no %s has %d bytes from its env on", f.target.cpu, f.whole-f.env)
	if !f.target.telling {
		releases, failed = nil, errors.New("nothing vouches for the built-in layouts")
	}
	for _, r := range releases {
		if r.tail() != f.whole-f.env {
			continue
		}
		if err := checkRuns(f.target.runs, r.listed, r.env.Members); err != nil {
			failed = fmt.Errorf("%s: %w", r, err)
			continue
		}
		out := ctype.Record{Size: r.env.Size, Members: map[string]ctype.Place{}}
		for _, forms := range f.target.runs {
			for _, form := range formsOf(forms, r.listed) {
				for _, m := range form.members {
					for path, p := range r.env.Members {
						if path == m.path || strings.HasPrefix(path, m.path+".") || strings.HasPrefix(path, m.path+"[") {
							out.Members[path] = p
						}
					}
				}
			}
		}
		f.used(r)
		return out, nil
	}
	return ctype.Record{}, fmt.Errorf("%w of vCPUs: %w; QEMU's executable would tell, give it with --exe", ErrNoLayout, failed)
}

// vcpu is the target's own vCPU. Its members are behind env, and are known
// where the process tells them or a release agrees in how much there is: only
// then the record has a size, and what it lacks is not there.
func (f *cpuFacts) vcpu(releases []cpuRelease) ctype.Record {
	out := ctype.Record{Members: maps.Clone(f.own)}
	out.Members["env"] = ctype.Place{Offset: f.env}
	i := slices.IndexFunc(releases, func(r cpuRelease) bool { return r.cpu.Size != 0 && r.tail() == f.whole-f.env })
	if i < 0 || len(f.regs) == 0 {
		return out
	}
	out.Size = f.whole
	for path, p := range releases[i].cpu.Members {
		if _, ok := out.Members[path]; !ok && !f.absent[path] {
			p.Offset += f.env - releases[i].cpu.Members["env"].Offset
			out.Members[path] = p
		}
	}
	return out
}

// envPointer reads a pointer in a vCPU, as an offset in it.
func (vm *VM) envPointer(c vcpu) func(offset uint64) (uint64, error) {
	return func(offset uint64) (uint64, error) {
		a, err := vm.space.Pointer(c.Addr + addr.HVA(offset))
		return uint64(a - c.Addr), err
	}
}
