package qemu

import (
	"maps"
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
