package dump_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// selected are the ranges of a content.
func selected(c *dump.Content) (out []string) {
	for _, r := range c.Ranges {
		out = append(out, fmt.Sprintf("%#x-%#x", uint64(r.Addr), uint64(r.End())))
	}
	return out
}

// Nonvolatile memory is written as QEMU does unless told otherwise, and what
// is not written need not be there.
func TestSelectPMEM(t *testing.T) {
	const page = 0x1000
	m := machine(t, dumptest.Part{Addr: 0, Size: 2 * page}, dumptest.Part{Addr: 4 * page, Size: page, Kind: dumptest.Absent},
		dumptest.Part{Addr: 8 * page, Size: page}, dumptest.Part{Addr: 16 * page, Size: page})
	m.Image.Ranges[1].PMEM, m.Image.Ranges[1].Unlisted = true, true
	m.Image.Ranges[2].PMEM = true
	for _, c := range []struct {
		options dump.Options
		want    []string
		absent  int
	}{
		{dump.Options{}, []string{"0x0-0x2000", "0x8000-0x9000", "0x10000-0x11000"}, 0},
		{dump.Options{ExcludePMEM: true}, []string{"0x0-0x2000", "0x10000-0x11000"}, 0},
		{dump.Options{IncludePMEM: true, Partial: true}, []string{"0x0-0x2000", "0x8000-0x9000", "0x10000-0x11000"}, 1},
	} {
		got, err := dump.Select(m, c.options)
		if err != nil {
			t.Errorf("%+v: %v", c.options, err)
			continue
		}
		if d := cmp.Diff(c.want, selected(got)); d != "" || len(got.Absent) != c.absent {
			t.Errorf("%+v: absent %v, ranges (-want +got):\n%s", c.options, got.Absent, d)
		}
	}
	if _, err := dump.Select(m, dump.Options{IncludePMEM: true}); err == nil || !strings.Contains(err.Error(), "0x4000-0x5000") {
		t.Errorf("absent memory that was asked for: %v", err)
	}
}

// Memory that is not what the guest sees is refused, or labelled.
func TestSelectSealed(t *testing.T) {
	const page = 0x1000
	m := machine(t, dumptest.Part{Addr: 0, Size: page})
	m.Sealed = "it is all Greek"
	if _, err := dump.Select(m, dump.Options{}); err == nil || !strings.Contains(err.Error(), "it is all Greek: --partial") {
		t.Errorf("not refused: %v", err)
	}
	c, err := dump.Select(m, dump.Options{Partial: true})
	if err != nil || c.Sealed != m.Sealed || len(c.Ranges) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
