package mapping

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

const pages = 16

// machine is a guest with 16 pages of memory, flash behind 1 MiB and one vCPU
// in long mode, of which pml4 is page 1, pdpt page 2, pd page 3, pt page 4.
func machine(t *testing.T, entries map[uint64]uint64) *guest.Machine {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "ram"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	memory := make([]byte, pages<<12)
	for at, entry := range entries {
		binary.LittleEndian.PutUint64(memory[at:], entry)
	}
	if _, err := file.Write(memory); err != nil {
		t.Fatal(err)
	}
	m := &guest.Machine{
		Image: &guest.Image{Ranges: []guest.Range{{Size: pages << 12}}, Map: &extent.Map[addr.GPA, addr.FileOff]{}, Files: []addr.Source{file}},
		Other: []guest.Range{{Addr: 1 << 20, Size: 4096}},
		CPUs:  []guest.CPU{{Trust: guest.Valid, State: &arch.X86{EFER: 1 << 10, CR: [5]uint64{1 << 31, 0, 0, 0x1000, 1 << 5}}}},
	}
	if err := m.Image.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Size: pages << 12}); err != nil {
		t.Fatal(err)
	}
	return m
}

// tablesTo maps what is at virtual 0 and at the same distance from the
// beginning of the upper half, by the page table in page 4.
func tablesTo(entries ...uint64) map[uint64]uint64 {
	all := map[uint64]uint64{0x1000: 0x2001, 0x1000 + 8*256: 0x2001, 0x2000: 0x3001, 0x3000: 0x4001}
	for i, e := range entries {
		all[0x4000+8*uint64(i)] = e
	}
	return all
}

func TestOf(t *testing.T) {
	const low, high = 0xffff_0000_0000_0000, 0xffff_8000_0000_0000 // QEMU takes both for the upper half
	for _, test := range []struct {
		name    string
		entries map[uint64]uint64
		want    []Mapping
		warns   string
	}{
		{"pages that go on, and one that does not", tablesTo(0x5001, 0x6001, 0x8001), []Mapping{
			{high, 0x5000, 0x2000}, {low, 0x5000, 0x2000}, {high + 0x2000, 0x8000, 0x1000}, {low + 0x2000, 0x8000, 0x1000},
		}, ""},
		{"a device, nothing, flash", tablesTo(0xfee0_0001, 0, 0x10_0001), []Mapping{
			{high + 0x2000, 0x10_0000, 0x1000}, {low + 0x2000, 0x10_0000, 0x1000},
		}, ""},
		{"no execution, and a protection key, which QEMU takes for an address", tablesTo(0x5001|1<<63, 0x6001|1<<59), []Mapping{
			{high, 0x5000, 0x1000}, {low, 0x5000, 0x1000},
		}, ""},
		{"a table where no memory is", map[uint64]uint64{0x1000: 0x7_0001}, []Mapping{}, ""},
		{"a table that the source lacks", map[uint64]uint64{0x1000: 0xf001}, []Mapping{}, "1 page tables are not in the source, the first at 0xf000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := machine(t, test.entries)
			if err := m.Image.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: 0xf000, Size: 0x1000, Kind: extent.Lost}); err != nil {
				t.Fatal(err)
			}
			got, warnings, err := Of(t.Context(), m, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want (-), got (+)\n%s", diff)
			}
			if all := strings.Join(warnings, "\n"); test.warns == "" && all != "" || !strings.Contains(all, test.warns) {
				t.Errorf("warnings %q", all)
			}
		})
	}
}

func TestOfRegisters(t *testing.T) {
	m := machine(t, tablesTo(0x5001))
	m.CPUs = append(m.CPUs, guest.CPU{Index: 1, Reason: "not read"})
	list, warnings, err := Of(t.Context(), m, false)
	if err != nil || len(list) != 2 || len(warnings) != 1 || warnings[0] != "what vCPU 1 has mapped is left out: its registers are unknown, not read" {
		t.Errorf("%v, %q, %v", list, warnings, err)
	}
	m.CPUs[0].Trust = guest.Stale
	if _, _, err := Of(t.Context(), m, false); err == nil || !strings.Contains(err.Error(), "use them with --stale-registers") {
		t.Errorf("stale registers: %v", err)
	}
	if list, _, err := Of(t.Context(), m, true); err != nil || len(list) != 2 {
		t.Errorf("stale registers, asked for: %v, %v", list, err)
	}
	m.CPUs = m.CPUs[1:]
	if _, _, err := Of(t.Context(), m, true); err == nil || !strings.Contains(err.Error(), "those of none could be read") {
		t.Errorf("no registers: %v", err)
	}
	m.CPUs = []guest.CPU{{Trust: guest.Valid, State: &arch.S390X{}}, {Trust: guest.Valid, State: &arch.X86{}}}
	if list, _, err := Of(t.Context(), m, false); err != nil || list != nil {
		t.Errorf("no paging: %v, %v", list, err)
	}
	m.Sealed = "memory is encrypted"
	if _, _, err := Of(t.Context(), m, false); err == nil || !strings.Contains(err.Error(), m.Sealed) {
		t.Errorf("encrypted: %v", err)
	}
	m = machine(t, tablesTo(0x5001))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	cancel(stop)
	if _, _, err := Of(ctx, m, false); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}
