package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// What the hypervisor's own dump leaves out is neither there nor absent.
func TestOfMachineUnlisted(t *testing.T) {
	im := &guest.Image{Map: &extent.Map[addr.GPA, addr.FileOff]{}}
	for i, kind := range []extent.Kind{extent.Zero, extent.Omitted, extent.Zero, extent.Omitted} {
		a := addr.GPA(i) << 20
		if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: a, Size: 4096, Kind: kind}); err != nil {
			t.Fatal(err)
		}
		im.Ranges = append(im.Ranges, guest.Range{Addr: a, Size: 4096, PMEM: i >= 2, Unlisted: i >= 2})
	}
	m := &guest.Machine{Image: im, Missing: []guest.Missing{{Addr: 1 << 20, Size: 4096, Reason: "is lost"}, {Addr: 3 << 20, Size: 4096, Reason: "is elsewhere"}}}
	s, absent := OfMachine("core", m)
	if d := cmp.Diff([]guest.Range{{Addr: 0, Size: 4096}}, s.Ranges); d != "" {
		t.Errorf("ranges (-want +got):\n%s", d)
	}
	if d := cmp.Diff(m.Missing[:1], absent); d != "" {
		t.Errorf("absent (-want +got):\n%s", d)
	}
}
