package dump_test

import (
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/guest"
)

// Whatever the window, what is in it and nothing else is in Ranges or Absent,
// with the host addresses it had.
func TestWindow(t *testing.T) {
	const page = 0x1000
	parts := []dumptest.Part{
		{Addr: 0, Size: 3 * page},
		{Addr: 3 * page, Size: page, Kind: dumptest.Absent},
		{Addr: 4 * page, Size: 2 * page, Kind: dumptest.Hole},
		{Addr: 8 * page, Size: 2 * page},
		{Addr: 10 * page, Size: 2 * page, Kind: dumptest.Zero, Split: true},
		{Addr: 14 * page, Size: page, Kind: dumptest.Lost},
	}
	m := machine(t, parts...)
	has := func(a addr.GPA, absent bool) bool { // a range of m, present or absent
		for _, p := range parts {
			if a >= p.Addr && a < p.Addr+addr.GPA(p.Size) {
				return absent == (p.Kind == dumptest.Absent || p.Kind == dumptest.Lost)
			}
		}
		return false
	}
	const step = page / 2
	for begin := addr.GPA(0); begin < 16*page; begin += step {
		for length := uint64(step); length <= 17*page; length += step {
			w := dump.Window{Begin: begin, Length: length}
			c, err := dump.Select(m, dump.Options{Partial: true, Window: w})
			if err != nil {
				c = &dump.Content{}
			}
			for a := addr.GPA(0); a < 16*page; a += step {
				inside := a >= begin && uint64(a-begin) < length
				if got, want := in(c.Ranges, a), inside && has(a, false); err == nil && got != want {
					t.Fatalf("%v: %v in the dump: %v, want %v", w, a, got, want)
				} else if err != nil && want {
					t.Fatalf("%v: %v", w, err)
				}
				absent := false
				for _, x := range c.Absent {
					absent = absent || a >= x.Addr && uint64(a-x.Addr) < x.Size
				}
				if want := inside && has(a, true); err == nil && absent != want {
					t.Fatalf("%v: %v absent: %v, want %v", w, a, absent, want)
				}
			}
			for _, r := range c.Ranges {
				if r.Size == 0 || r.Host != 0x7f0000000000+addr.HVA(r.Addr) {
					t.Fatalf("%v: range %+v", w, r)
				}
			}
		}
	}
	// Absent memory is no reason to refuse a dump of other memory.
	if _, err := dump.Select(m, dump.Options{Window: dump.Window{Begin: 8 * page, Length: 4 * page}}); err != nil {
		t.Error(err)
	}
	if _, err := dump.Select(m, dump.Options{Window: dump.Window{Begin: 3*page - 1, Length: 2}}); err == nil || !strings.Contains(err.Error(), "0x3000-0x3001") {
		t.Errorf("a byte of absent memory: %v", err)
	}
	if _, err := dump.Select(m, dump.Options{Window: dump.Window{Begin: 6 * page, Length: 2 * page}}); err == nil || !strings.Contains(err.Error(), "no memory in 0x6000-0x8000, it has some in 0x0-0x6000, 0x8000-0xa000, ") {
		t.Errorf("no memory: %v", err)
	}
}

func in(ranges []guest.Range, a addr.GPA) bool {
	for _, r := range ranges {
		if a >= r.Addr && a < r.End() {
			return true
		}
	}
	return false
}

// The last addresses there are, where sums overflow.
func TestWindowAtTheEnd(t *testing.T) {
	last := addr.GPA(1<<64 - 0x2000)
	m := machine(t, dumptest.Part{Addr: last, Size: 0x1000})
	for _, w := range []dump.Window{{Begin: 0, Length: 1<<64 - 1}, {Begin: last, Length: 0x1fff}, {Begin: last + 0xfff, Length: 1 << 63}} {
		c, err := dump.Select(m, dump.Options{Window: w})
		if err != nil || len(c.Ranges) != 1 || c.Ranges[0].End() != last+0x1000 || c.Ranges[0].Addr < w.Begin {
			t.Errorf("%v: %+v, %v", w, c, err)
		}
	}
}

// QEMU takes no window with kdump formats either.
func TestWindowKdump(t *testing.T) {
	m := machine(t, small...)
	for _, f := range kdump.Formats() {
		_, err := f.Plan(m, dump.Options{Window: dump.Window{Begin: 0, Length: 0x1000}})
		if want := fmt.Sprintf("%s holds all of guest memory", f.Name()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", f.Name(), err)
		}
	}
}
