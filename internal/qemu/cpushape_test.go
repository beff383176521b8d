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

// Every release of the table has the runs as they are told, and each member of
// a run leads to all others. A member that is elsewhere does not fit.
func TestRuns(t *testing.T) {
	for _, rec := range builtinReleases(t, "-x86_64-cpu") {
		for _, r := range x86Runs(8) {
			places, err := r.fit(rec.env.Members)
			if err != nil || places == nil {
				t.Errorf("%s: run of %s: %v, %v", rec.version, r[0].path, places, err)
				continue
			}
			for i, m := range r {
				have, ok := rec.env.Members[m.path]
				if !ok {
					continue
				}
				if have != places[i] {
					t.Errorf("%s: %s is %+v, the run has %+v", rec.version, m.path, have, places[i])
				}
				alone, err := r.fit(map[string]ctype.Place{m.path: have})
				if err != nil || alone[0] != places[0] {
					t.Errorf("%s: %s alone leads to %v, %v; all to %v", rec.version, m.path, alone, err, places)
				}
				moved := maps.Clone(rec.env.Members)
				have.Offset += 4
				moved[m.path] = have
				if places, err := r.fit(moved); err == nil {
					t.Errorf("%s: %s moved by 4 fits at %v", rec.version, m.path, places)
				}
			}
		}
	}
}
