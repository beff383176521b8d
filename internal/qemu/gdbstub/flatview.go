package gdbstub

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"guestcore/internal/addr"
)

// qemuRange is a line of "info mtree -f" (mtree_print_flatview in memory.c).
type qemuRange struct {
	start, end addr.GPA // end is behind the last byte
	kind       string   // ram, rom, romd, ramd, nv-ram, i/o
	name       string   // of the region
	offset     uint64   // of start in it
	follows    bool     // it goes on where the range of RAM before it ends
}

func (r qemuRange) size() uint64 { return uint64(r.end - r.start) }

// dumped reports whether QEMU's own dump has the range: RAM that is neither a
// host device's nor nonvolatile.
func (r qemuRange) dumped() bool { return r.kind == "ram" || r.kind == "rom" }

// rangeLine is a line like
//
//	0000000000100000-000000003fffffff (prio 0, ram): pc.ram @0000000000100000
//
// with the accelerator's name behind it, if memory is that one's.
var rangeLine = regexp.MustCompile(`^  ([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ([a-z/-]+)\): (.*?)(?: @([0-9a-f]{16}))?(?: [A-Z]+)?$`)

// parseFlatView takes the ranges of the view that the address space "memory"
// has.
func parseFlatView(text string) ([]qemuRange, error) {
	var ranges []qemuRange
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "FlatView #") {
			if inside {
				break
			}
			continue
		}
		if strings.HasPrefix(line, ` AS "memory",`) {
			inside = true
		}
		f := rangeLine.FindStringSubmatch(line)
		if f == nil || !inside {
			continue
		}
		r, err := newRange(f)
		if err != nil {
			return nil, fmt.Errorf("info mtree -f: %q: %w", line, err)
		}
		if n := len(ranges); n > 0 {
			last := ranges[n-1]
			if r.start < last.end {
				return nil, fmt.Errorf("info mtree -f: %q begins before the last range ends", line)
			}
			r.follows = r.dumped() && last.dumped() && last.end == r.start && last.name == r.name && last.offset+last.size() == r.offset
		}
		ranges = append(ranges, r)
	}
	if len(ranges) == 0 {
		return nil, errors.New(`info mtree -f lists no address space "memory"`)
	}
	return ranges, nil
}

func newRange(f []string) (r qemuRange, err error) {
	start, err := strconv.ParseUint(f[1], 16, 64)
	if err != nil {
		return r, err
	}
	last, err := strconv.ParseUint(f[2], 16, 64)
	if err != nil {
		return r, err
	}
	if last < start || last == ^uint64(0) {
		return r, errors.New("no range")
	}
	if f[5] != "" {
		if r.offset, err = strconv.ParseUint(f[5], 16, 64); err != nil {
			return r, err
		}
	}
	r.start, r.end, r.kind, r.name = addr.GPA(start), addr.GPA(last)+1, f[3], f[4]
	return r, nil
}
