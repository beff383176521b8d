package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// info is what the tests want of `guestcore info --json`.
type info struct {
	Machine struct {
		Version string `json:"qemu_version"`
		Machine string
		Accel   string `json:"accelerator"`
		Arch    string
		VCPUs   int
		RAM     uint64

		Confidential string
		Notes        []string
	}
	Symbols struct {
		Executable struct {
			DebugInfo     string `json:"debug_info"`
			FoundBy       string `json:"found_by"`
			Supplementary string
		}
		Layout  string
		Globals []struct{ Name, From string }
	}
	FlatView []struct {
		Start, End     uint64
		Kind, Name     string
		OffsetInRegion uint64 `json:"offset_in_region"`
		ReadOnly       bool
	}
	RAMBlocks []ramBlock
}

type ramBlock struct {
	Name      string
	Used      uint64 `json:"used_length"`
	VirtioMem *struct {
		Plugged, Requested, Usable uint64
		BlockSize                  uint64 `json:"block_size"`
	} `json:"virtio_mem"`
}

func infoOf(t *testing.T, core string, flags ...string) info {
	t.Helper()
	result := testkit.Guestcore(t, append(append([]string{"info", "--json"}, flags...), core)...)
	var i info
	if err := json.Unmarshal([]byte(result.Output), &i); err != nil || result.Status != 0 {
		t.Fatalf("status %d, %v:\n%s", result.Status, err, result.Output)
	}
	return i
}

// TestInfoMachine asks for what is known from QEMU's command line.
func TestInfoMachine(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Q35)
	m := infoOf(t, fixture.Core).Machine
	if !strings.HasPrefix(m.Machine, "pc-q35-") || m.Accel != "tcg" || m.Arch != "X86_64" || m.VCPUs != 2 || m.RAM != 5<<30 {
		t.Errorf("%+v", m)
	}
	if said := testkit.Run(t, fixture.QEMU.Exe, "--version").Output; m.Version == "" || !strings.Contains(said, m.Version) {
		t.Errorf("version %q, QEMU says %s", m.Version, said)
	}
}

// TestInfoFlatView holds the FlatView against what QEMU's own monitor printed before QEMU died.
func TestInfoFlatView(t *testing.T) {
	for _, config := range []rig.Config{rig.PC, rig.Q35, rig.NUMA, rig.SharedFile, rig.Bare} {
		t.Run(config.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.StockQEMU(t), config)
			var ours []string
			for _, r := range infoOf(t, fixture.Core).FlatView {
				kind := r.Kind
				if kind == "ram" && r.ReadOnly {
					kind = "rom" // as QEMU says for RAM that the view maps read-only
				}
				ours = append(ours, fmt.Sprintf("%016x-%016x %s %s @%016x", r.Start, r.End-1, kind, r.Name, r.OffsetInRegion))
			}
			theirs := flatView(t, fixture.MTree)
			if !slices.Equal(ours, theirs) {
				t.Errorf("ours:\n%s\nQEMU's:\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
			}
		})
	}
}

var mtreeLine = regexp.MustCompile(`^  ([0-9a-f]{16}-[0-9a-f]{16}) \(prio -?\d+, ([a-z/]+)\): (.*?)(?: @([0-9a-f]{16}))?(?: KVM)?$`)

// flatView reads the view of the address space "memory" out of what info mtree -f printed.
func flatView(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range strings.Split(strings.ReplaceAll(string(text), "\r", ""), "FlatView #") {
		if !strings.Contains(view, ` AS "memory", root: system`) {
			continue
		}
		var ranges []string
		for _, line := range strings.Split(view, "\n") {
			if m := mtreeLine.FindStringSubmatch(line); m != nil {
				offset := m[4]
				if offset == "" {
					offset = strings.Repeat("0", 16)
				}
				ranges = append(ranges, fmt.Sprintf("%s %s %s @%s", m[1], strings.Replace(m[2], "i/o", "io", 1), m[3], offset))
			}
		}
		return ranges
	}
	t.Fatalf("no view of the address space memory in:\n%s", text)
	return nil
}

// TestInfoSymbols holds each form of QEMU to the way that its symbols and layouts are found: another way would mean that the
// dump of that form shows nothing of its own.
func TestInfoSymbols(t *testing.T) {
	for form, want := range map[string]struct{ debugInfo, foundBy, supplementary, layout, from string }{
		"dwarf":     {"/dwarf/", "executable", "", "DWARF", ".symtab"},
		"build-id":  {"/debug/.build-id/", "build-id", "", "DWARF", ".symtab"},
		"debuglink": {"/debuglink/.debug/", "debuglink", "", "DWARF", ".symtab"},
		"dwz":       {"/dwz/.build-id/", "build-id", "/dwz/.dwz/", "DWARF", ".symtab"},
		"stripped":  {"", "", "", "built-in", "found by its contents"},
	} {
		t.Run(form, func(t *testing.T) {
			fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.Bare)
			forms := testkit.Forms(t)
			f := forms[slices.IndexFunc(forms, func(f rig.Form) bool { return f.Name == form })]
			s := infoOf(t, fixture.Core, "--exe", f.Exe, "--debug-dir", f.DebugDir).Symbols
			if e := s.Executable; !strings.Contains(e.DebugInfo, want.debugInfo) || (e.DebugInfo == "") != (want.debugInfo == "") ||
				!strings.Contains(e.FoundBy, want.foundBy) || (e.Supplementary == "") != (want.supplementary == "") ||
				!strings.Contains(e.Supplementary, want.supplementary) {
				t.Errorf("debug information: %+v, want %+v", e, want)
			}
			if !strings.HasPrefix(s.Layout, want.layout) {
				t.Errorf("layout %q, want %s", s.Layout, want.layout)
			}
			i := slices.IndexFunc(s.Globals, func(g struct{ Name, From string }) bool { return g.Name == "address_space_memory" })
			if i < 0 || !strings.Contains(s.Globals[i].From, want.from) {
				t.Errorf("globals %+v, want address_space_memory from %s", s.Globals, want.from)
			}
		})
	}
}
