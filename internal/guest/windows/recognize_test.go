package windows

import (
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
	"guestcore/test/winguest"
)

// Windows is what all vCPUs run that have page tables, and nothing less.
func TestRecognize(t *testing.T) {
	for name, kind := range kinds {
		for _, test := range []struct {
			name    string
			change  func(*winguest.Guest, *guest.Machine)
			release string // "-": it is not recognized
		}{
			{"as it is", func(*winguest.Guest, *guest.Machine) {}, "6.1"},
			{"a vCPU that has not begun", func(_ *winguest.Guest, m *guest.Machine) { x86(m, 1).CR[0] = 0 }, "6.1"},
			{"Windows 11", func(g *winguest.Guest, _ *guest.Machine) {
				g.Put32(g.Shared+sharedMajor, 10)
				g.Put32(g.Shared+sharedMinor, 0)
				g.Put32(g.Shared+sharedBuild, 0xf000_0000|26100)
			}, "10.0 build 26100"},
			{"no shared page", func(g *winguest.Guest, _ *guest.Machine) { g.Unmap(g.Shared) }, ""},
			{"a version that cannot be", func(g *winguest.Guest, _ *guest.Machine) { g.Put32(g.Shared+sharedMajor, 1<<31) }, ""},
			{"no vCPU has begun", func(_ *winguest.Guest, m *guest.Machine) {
				for i := range m.CPUs {
					x86(m, i).CR[0] = 0
				}
			}, "-"},
			{"no registers", func(_ *winguest.Guest, m *guest.Machine) {
				for i := range m.CPUs {
					m.CPUs[i] = guest.CPU{Index: i}
				}
			}, "-"},
			{"a vCPU runs something else", func(_ *winguest.Guest, m *guest.Machine) { x86(m, 1).CR[3] = 0 }, "-"},
			{"no image", func(g *winguest.Guest, _ *guest.Machine) { g.Put16(g.Kernel, 0) }, "-"},
			{"another architecture", func(_ *winguest.Guest, m *guest.Machine) { m.Arch = arch.Guests[0] }, "-"},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				g := small(kind)
				m := running(t, g) // of the registers
				test.change(g, m)
				cpus, a := m.CPUs, m.Arch
				m = running(t, g) // of the memory as it is now
				m.CPUs, m.Arch = cpus, a
				if got, want := Recognize(m), test.release != "-"; got != want {
					t.Fatalf("recognized: %v, want %v", got, want)
				}
				switch k := m.Kernel; {
				case test.release == "-":
					if k != nil {
						t.Errorf("%+v", k)
					}
				case k.System != "Windows" || k.Release != test.release || len(k.Remarks) != 2 || !strings.Contains(k.Remarks[0], "found from vCPU 0"):
					t.Errorf("%+v", k)
				}
			})
		}
	}
}
