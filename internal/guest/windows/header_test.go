package windows

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/test/winguest"
)

func TestRuns(t *testing.T) {
	for _, wide := range []bool{true, false} {
		h := NewHeader(wide)
		want := []Run{{1, 0x9e}, {0x100, 0x7ff}, {0x100000, 1}}
		h.SetRuns(want)
		got, err := h.Runs()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if pages, space := h.Uint(NumberOfPages), h.Uint(RequiredDumpSpace); pages != 0x89e || space != uint64(len(h))+0x89e000 {
			t.Errorf("%#x pages, %#x bytes", pages, space)
		}
		var most []Run
		for i := range h.MaxRuns() {
			most = append(most, Run{uint64(2 * i), 1})
		}
		h.SetRuns(most)
		if got, err := h.Runs(); err != nil || len(got) != len(most) || got[len(got)-1] != most[len(most)-1] {
			t.Errorf("%v: %v", err, got)
		}
		comment := map[bool]int{true: 0xfb0, false: 0x820}[wide]
		if string(h[comment:][:4]) != "PAGE" {
			t.Error("the runs reach into the comment")
		}
		h.SetComment(strings.Repeat("x", 300))
		if string(h[comment+126:][:4]) != "x\x00PA" {
			t.Errorf("the comment ends in %q", h[comment+126:][:4])
		}
	}
}

func TestRunsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		runs []Run
		want string
	}{
		{"none", nil, "lists no physical memory"},
		{"too many", make([]Run, 44), "counts 44 runs of physical memory and has room for 43"},
		{"empty", []Run{{0, 1}, {5, 0}}, "run 1 of the header's physical memory"},
		{"beyond", []Run{{math.MaxInt64 / PageSize, 1}, {2, 3}}, "run 0 of the header's physical memory"},
		{"overflow", []Run{{1, math.MaxUint64}}, "run 0 of the header's physical memory"},
		{"backwards", []Run{{8, 8}, {15, 1}}, "begins at 0xf000, before the end of the last one at 0x10000"},
	} {
		h := NewHeader(true)
		h.SetRuns(tt.runs[:min(len(tt.runs), 43)])
		h.Put(NumberOfRuns, uint64(len(tt.runs)))
		if got, err := h.Runs(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

// Fields do not overlap, and lie in the header.
func TestFields(t *testing.T) {
	for _, wide := range []bool{true, false} {
		h := NewHeader(wide)
		for f := range fields {
			f := Field(f)
			if f.String() == "" {
				t.Errorf("field %d has no name", int(f))
			}
			before := Header(bytes.Clone(h))
			h.Put(f, 0x8182_8384_8586_8788)
			if got := h.Uint(f); got != 0x8182_8384_8586_8788&(1<<(8*len(h.place(f)))-1) && len(h.place(f)) < 8 {
				t.Errorf("%v is %#x", f, got)
			}
			if f == PaeEnabled && wide {
				continue
			}
			if strings.Trim(string(before.place(f)), "PAGE") != "" {
				t.Errorf("%v overlaps another field", f)
			}
		}
	}
}

// Whatever the guest left, there is a header or an error, and never a panic;
// and whatever is in a header, so it is with a dump.
func FuzzFromNote(f *testing.F) {
	guests := map[bool]*winguest.Guest{true: winguest.New(winguest.Kind{Wide: true}), false: winguest.New(winguest.Kind{PAE: true})}
	for _, g := range guests {
		f.Add(note(g))
		f.Add(note(g)[:2000])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := FromNote(b)
		if err != nil {
			if h != nil {
				t.Error("a header and an error")
			}
			return
		}
		if len(h) != HeaderSize64 && len(h) != HeaderSize32 || !bytes.Contains(b, h) {
			t.Fatalf("a header of %d bytes", len(h))
		}
		if runs, err := h.Runs(); err == nil && len(runs) != int(h.Uint(NumberOfRuns)) {
			t.Errorf("%d runs, the header counts %d", len(runs), h.Uint(NumberOfRuns))
		}
		m := machine(t, guests[h.Wide()])
		m.VMCoreInfo = b
		if err := Identify(t.Context(), m, Options{Partial: true}); err != nil {
			return
		}
		if _, err := m.Image.With(m.Windows.Patches); err != nil {
			t.Errorf("the patches have no place: %v", err)
		}
	})
}
