package dumpfile

import (
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Labels take out what they lie over, in whatever order they come and however
// they overlap.
func TestOmit(t *testing.T) {
	m := &extent.Map[addr.GPA, addr.FileOff]{}
	for _, e := range []piece{{Addr: 0x10, Size: 0x10, Off: 0x100}, {Addr: 0x20, Size: 8, Kind: extent.Lost}, {Addr: 0x40, Size: 0x10, Off: 0x200}} {
		if err := m.Insert(e); err != nil {
			t.Fatal(err)
		}
	}
	absent := []guest.Missing{
		{Addr: 0x44, Size: 4}, {Addr: 0x1c, Size: 8}, {Addr: 0, Size: 0x12}, {Addr: 0x1, Size: 2}, {Addr: 0x45, Size: 5, Reason: "the same"}, {Addr: 0x30, Size: 8},
	}
	out, err := omit(m, absent)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range out.Extents() {
		got = append(got, fmt.Sprintf("%x+%x %v %x", uint64(e.Addr), e.Size, e.Kind, e.Off.Offset()))
	}
	want := "10+2 omitted 0, 12+a data 102, 1c+8 omitted 0, 24+4 lost 0, 40+4 data 200, 44+6 omitted 0, 4a+6 data 20a"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s; want %s", s, want)
	}
	if r := reasonOf(guest.Missing{Addr: 0x46, Size: 4}, absent); r != "the same" {
		t.Error(r)
	}
	if r := reasonOf(guest.Missing{Addr: 0x44, Size: 6}, absent); r != leftOut {
		t.Error(r)
	}
}
