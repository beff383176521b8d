package qemu

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/ctype"
)

// builtinReleases are the releases of the built-in table that know a target.
func builtinReleases(t testing.TB, suffix string) []cpuRelease {
	t.Helper()
	tables, err := parseCPULayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	target, err := cpuTargetOf(suffix)
	if err != nil {
		t.Fatal(err)
	}
	return expandReleases(tables, target)
}

// The built-in tables agree with the runs in all releases, and not any more
// once a member of a run is elsewhere.
func TestRuns(t *testing.T) {
	walk, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	for version, table := range walk {
		for name, groups := range layoutRuns {
			if r, ok := table.Record(name); ok {
				checkRun(t, version, name, groups, r.Members)
			}
		}
	}
	for _, target := range cpuTargets {
		if target.untold {
			continue
		}
		for _, r := range builtinReleases(t, target.suffix) {
			checkRun(t, r.listed, target.env, target.runs, r.env.Members)
			for _, state := range r.states {
				checkRun(t, r.version, "CPUState", cpuStateRuns, state.Members)
			}
		}
	}
}

// The forms that the built-in tables have on other hosts agree with the runs,
// too.
func TestRunsOnOtherHosts(t *testing.T) {
	walk, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(maps.Keys(layoutRuns))
	for machine, abi := range hostABIs {
		for version, table := range walk {
			for _, form := range abi.tables(table) {
				if err := (layout{Layouts: form}).checkRuns(names...); err != nil {
					t.Errorf("%s on %v: %v", version, machine, err)
				}
			}
		}
		for _, target := range cpuTargets {
			if target.untold {
				continue
			}
			for _, r := range abi.releases(target, builtinReleases(t, target.suffix)) {
				if err := checkRuns(target.runs, r.listed, r.env.Members); err != nil {
					t.Errorf("%s of %s on %v: %v", target.env, r.version, machine, err)
				}
				for _, state := range r.states {
					for _, form := range abi.states(state) {
						if err := checkRuns(cpuStateRuns, r.version, form.Members); err != nil {
							t.Errorf("CPUState of %s on %v: %v", r.version, machine, err)
						}
					}
				}
			}
		}
	}
}

// A MachineState that is none of QEMU's, as a distribution may have patched it,
// costs what it tells and not the memory.
func TestPatchedMachineState(t *testing.T) {
	f := newFake(t, "9.2.0")
	src := f.source(true)
	records := map[string]ctype.Record{}
	for _, name := range f.table.Structs() {
		records[name], _ = f.table.Record(name)
	}
	patched := records["MachineState"]
	patched = moved(patched, patched.Members["ram_size"].Offset, 8)
	patched.Size -= 8
	records["MachineState"] = patched
	src.Layout = &LayoutFile{"patched", map[string]*ctype.Table{"9.2.0": ctype.MakeTable("9.2.0", records)}}
	vm, err := Open(src)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(vm.layout.Name, "patched") {
		t.Errorf("memory is walked by %s", vm.layout.Name)
	}
	if m := vm.Machine(); m.RAM != 0 || m.CPUs == 0 {
		t.Errorf("RAM of %d bytes is believed, %d vCPUs", m.RAM, m.CPUs)
	}
}

func checkRun(t *testing.T, version, name string, groups [][]run, members map[string]ctype.Place) {
	t.Helper()
	if err := checkRuns(groups, version, members); err != nil {
		t.Errorf("%s %s: %v", name, version, err)
		return
	}
	for _, forms := range groups {
		for _, r := range formsOf(forms, version) {
			var known []string
			for _, m := range r.members {
				if _, ok := members[m.path]; ok {
					known = append(known, m.path)
				}
			}
			if places, err := r.fit(members); err != nil || len(known) < 2 || places == nil {
				continue // another form of the same release, or nothing to compare
			}
			for _, path := range known {
				for _, by := range []uint64{1, 4, 8, 1000} {
					moved := maps.Clone(members)
					p := moved[path]
					p.Offset += by
					moved[path] = p
					if err := checkRuns(groups, version, moved); err == nil {
						t.Errorf("%s %s: %s may be moved by %d", name, version, path, by)
					}
				}
			}
		}
	}
}
