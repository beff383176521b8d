package dumpfile

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/dump/kdumpfile"
)

// OpenParts opens a dump that is in several files, the parts of a kdump file
// that makedumpfile has split, in any order; one file is opened by [OpenNamed].
func OpenParts(paths []string) (*File, error) {
	if len(paths) == 1 {
		return OpenNamed(paths[0])
	}
	s := &split{}
	for _, path := range paths {
		k, err := kdumpfile.Open(path)
		if err != nil {
			s.Close()
			if errors.Is(err, kdumpfile.ErrFormat) {
				err = fmt.Errorf("%w: several files are the parts of one that makedumpfile has split; give one otherwise", err)
			}
			return nil, err
		}
		s.parts = append(s.parts, part{path, k})
	}
	f, err := s.file()
	if err != nil {
		s.Close()
		return nil, err
	}
	f.Path, f.Parts = strings.Join(paths, ", "), paths
	for _, path := range paths {
		if fi, err := os.Stat(path); err == nil {
			f.Size += fi.Size()
		}
	}
	return f, nil
}

// split is the memory of a split kdump file.
type split struct{ parts []part } // in the order of their pages

type part struct {
	path string
	*kdumpfile.File
}

// file makes one of the parts, which have to belong together.
func (s *split) file() (*File, error) {
	slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(a.Start, b.Start) })
	first := s.parts[0]
	for i, p := range s.parts {
		switch {
		case !p.Split:
			return nil, fmt.Errorf("%s is a whole dump, and no part of one: give it alone", p.path)
		case p.BlockSize != first.BlockSize || p.MaxPage != first.MaxPage || p.Order != first.Order || p.UTS != first.UTS ||
			!slices.Equal(p.Exist(), first.Exist()):
			return nil, fmt.Errorf("%s and %s are parts of different dumps", first.path, p.path)
		case i > 0 && p.Start < s.parts[i-1].End:
			return nil, fmt.Errorf("%s and %s hold the same pages: give each part once", s.parts[i-1].path, p.path)
		}
	}
	f, err := newKdump(first.File)
	if err != nil {
		return nil, err
	}
	var has, stored, covers []kdumpfile.Range
	for i, p := range s.parts {
		has, stored, covers = append(has, p.Ranges()...), append(stored, p.Stored()...), append(covers, covered(p.File))
		if i > 0 {
			f.loses(p.File)
		}
	}
	f.holds(has, stored, first.Exist(), covers)
	f.Format += fmt.Sprintf(", in %d parts", len(s.parts))
	f.memory, f.close = s, s.Close
	return f, nil
}

// part is the part that has the page at an address.
func (s *split) part(a int64) part {
	page := a / s.parts[0].BlockSize
	i, found := slices.BinarySearchFunc(s.parts, page, func(p part, page int64) int { return cmp.Compare(p.Start, page) })
	if !found && i > 0 {
		i--
	}
	return s.parts[i]
}

// ReadAt reads by guest-physical address, see memory.
func (s *split) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at := off + int64(n)
		own := s.part(at)
		left := own.End*own.BlockSize - at
		if left <= 0 { // of no part: the error says so
			left = int64(len(p))
		}
		m, err := own.ReadAt(p[n:][:min(int64(len(p)-n), left)], at)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Zeros is as in a whole file: there is no data if all n bytes are zeros.
func (s *split) Zeros(off, n int64) (zeros, data int64) {
	for zeros < n && data == 0 {
		at := off + zeros
		own := s.part(at)
		left := own.End*own.BlockSize - at
		if left <= 0 { // of no part: who reads it meets the error
			return zeros, n - zeros
		}
		var more int64
		more, data = own.Zeros(at, min(n-zeros, left))
		zeros += more
	}
	return zeros, data
}

func (s *split) Zero(a addr.GPA, n uint64) bool { return toldZero(s, a, n) }

func (s *split) Where(a addr.GPA) string {
	own := s.part(int64(a))
	return pages{own.File}.Where(a) + " of " + own.path
}

// Close closes the parts.
func (s *split) Close() error {
	var errs []error
	for _, p := range s.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
