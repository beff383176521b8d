package qemu

import (
	"errors"
	"fmt"
	"slices"

	"guestcore/internal/ctype"
)

// A run is members of a structure that QEMU's source has next to each other:
// where one of them is, the others are. It fills what a VMState table leaves
// out, and finds a table of offsets wrong.
//
// Each run is told in its forms, newest first: since is the release that
// brought a form, two forms of one release are of builds that differ.
type run struct {
	since   string
	members []runMember
	parts   map[string][]runMember // of members that are structures or arrays of them, by path
}

// runMember is one member, or a gap.
type runMember struct {
	path  string // "": something of no use here, or padding
	size  uint64 // bytes, of an element
	count uint64 // elements of an array; 0: no array
}

// newestRuns is the last release whose source or binary the runs were held
// against. A newer one may have changed them.
const newestRuns = "11.1"

// places lays the run out from an offset on.
func (r run) places(start uint64) []ctype.Place {
	out := make([]ctype.Place, len(r.members))
	for i, m := range r.members {
		out[i] = ctype.Place{Offset: start, Size: m.size, Count: m.count}
		start += m.size * max(m.count, 1)
	}
	return out
}

// fit finds where the run lies by those of its members that are known, which
// must all agree. It is nil if none is.
func (r run) fit(known map[string]ctype.Place) ([]ctype.Place, error) {
	rel := r.places(0)
	for i, m := range r.members {
		anchor, ok := known[m.path]
		if !ok {
			continue
		}
		if anchor.Offset < rel[i].Offset {
			return nil, fmt.Errorf("%s is at %d, too near the start for what comes before it in any known QEMU", m.path, anchor.Offset)
		}
		places := r.places(anchor.Offset - rel[i].Offset)
		return places, r.agree(places, known)
	}
	return nil, nil
}

// agree holds the run's places against what is known.
func (r run) agree(places []ctype.Place, known map[string]ctype.Place) error {
	for i, m := range r.members {
		if err := r.agreeInside(m, places[i], known); err != nil {
			return err
		}
		if align := m.size; align&(align-1) == 0 && align <= 8 && align > 0 && m.path != "" && places[i].Offset%align != 0 {
			return fmt.Errorf("%s, of %d bytes, cannot be at %d", m.path, m.size, places[i].Offset)
		}
		p, ok := known[m.path]
		if ok && (p.Offset != places[i].Offset || p.Size != 0 && m.size != 0 && p.Size*max(p.Count, 1) > m.size*max(m.count, 1)) {
			return fmt.Errorf("%s is at %d and has %d bytes; in known QEMUs it would be at %d and have %d",
				m.path, p.Offset, p.Size*max(p.Count, 1), places[i].Offset, m.size*max(m.count, 1))
		}
	}
	return nil
}

// inside are the places of what is in a member that is at a place, by path.
func (r run) inside(m runMember, at ctype.Place) map[string]ctype.Place {
	prefix := m.path + "."
	if m.count > 0 {
		prefix = m.path + "[]."
	}
	out := map[string]ctype.Place{}
	offset := at.Offset
	for _, part := range r.parts[m.path] {
		if part.path != "" {
			out[prefix+part.path] = ctype.Place{Offset: offset, Size: part.size, Count: part.count}
		}
		offset += part.size * max(part.count, 1)
	}
	return out
}

func (r run) agreeInside(m runMember, at ctype.Place, known map[string]ctype.Place) error {
	for path, p := range r.inside(m, at) {
		if have, ok := known[path]; ok && (have.Offset != p.Offset || have.Size != 0 && have.Size != p.Size) {
			return fmt.Errorf("%s is at %d; in known QEMUs it would be at %d", path, have.Offset, p.Offset)
		}
	}
	return nil
}

// formsOf are the forms of a run that a version of QEMU can have: all if the version
// is "".
func formsOf(forms []run, version string) []run {
	if version == "" {
		return forms
	}
	for i, r := range forms {
		if compareVersions(r.since, version) > 0 {
			continue
		}
		end := i
		for end < len(forms) && forms[end].since == r.since {
			end++
		}
		return forms[i:end]
	}
	return nil
}

// fitOne finds the one form of a run that agrees with what is known. It is nil
// if what is known does not tell which.
func fitOne(forms []run, known map[string]ctype.Place) (r run, places []ctype.Place, err error) {
	fits := 0
	for _, form := range forms {
		p, wrong := form.fit(known)
		switch {
		case wrong != nil:
			err = wrong
		case p != nil:
			r, places = form, p
			fits++
		}
	}
	switch fits {
	case 0:
		return run{}, nil, err
	case 1:
		return r, places, nil
	}
	return run{}, nil, nil
}

// checkRuns holds a release's structure against all runs of it. Each must be
// there in one of the forms that the release can have.
func checkRuns(groups [][]run, version string, members map[string]ctype.Place) error {
	if n := numbers(version); compareVersions(version, newestRuns) > 0 && !slices.Equal(n[:min(2, len(n))], numbers(newestRuns)) {
		return nil // in 12.0 all may be otherwise
	}
	for _, forms := range groups {
		var errs []error
		ok := false
		candidates := formsOf(forms, version)
		for _, r := range candidates {
			_, err := r.fit(members)
			ok = ok || err == nil
			errs = append(errs, err)
		}
		if len(candidates) > 0 && !ok {
			return errors.Join(errs...)
		}
	}
	return nil
}
