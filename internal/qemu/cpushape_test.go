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

// Every release of the table has each run in one of its forms, and any member
// of it leads to all others. A member that is elsewhere does not fit.
func TestRuns(t *testing.T) {
	for _, target := range cpuTargets {
		if target.untold {
			continue
		}
		for _, rec := range builtinReleases(t, target.suffix) {
			if len(rec.env.Members) == 0 {
				continue
			}
			for _, forms := range target.runs {
				if _, ok := rec.env.Members["vfp.fp_status"]; forms[0][1].path == "vfp.fp_status" && !ok {
					continue // it was no array before 10.0
				}
				checkRun(t, target.env+" "+rec.version, forms, rec.env.Members)
			}
		}
	}
}

func checkRun(t *testing.T, name string, forms []run, members map[string]ctype.Place) {
	t.Helper()
	var r run
	var places []ctype.Place
	for _, form := range forms { // longest first
		if p, err := form.fit(members); err == nil && p != nil && holds(form, members) >= holds(r, members) {
			r, places = form, p
		}
	}
	if r == nil {
		_, err := forms[0].fit(members)
		t.Errorf("%s: run of %s: %v", name, forms[0][0].path, err)
		return
	}
	for i, m := range r {
		have, ok := members[m.path]
		if !ok {
			continue
		}
		if have.Offset != places[i].Offset {
			t.Errorf("%s: %s is %+v, the run has %+v", name, m.path, have, places[i])
		}
		alone, err := r.fit(map[string]ctype.Place{m.path: have})
		if err != nil || alone[0] != places[0] {
			t.Errorf("%s: %s alone leads to %v, %v; all to %v", name, m.path, alone, err, places)
		}
		if holds(r, members) < 2 {
			continue
		}
		moved := maps.Clone(members)
		have.Offset += 4
		moved[m.path] = have
		if _, places, err := fitOne(forms, moved); err == nil {
			t.Errorf("%s: %s moved by 4 fits at %v", name, m.path, places)
		}
	}
}

// holds counts the run's members that are known.
func holds(r run, known map[string]ctype.Place) int {
	n := 0
	for _, m := range r {
		if _, ok := known[m.path]; ok {
			n++
		}
	}
	return n
}
