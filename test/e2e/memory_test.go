package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
	"guestcore/test/vmcore"
)

// emulator is a QEMU and the flags that its cores are dumped with.
type emulator struct {
	name  string
	qemu  func(testing.TB) rig.QEMU
	flags func(testing.TB, rig.QEMU) []string
}

// emulators are the QEMUs of the tests here: Debian's, without debug information; and one with debug information, used and not.
var emulators = []emulator{
	{"stock", testkit.StockQEMU, func(testing.TB, rig.QEMU) []string { return nil }},
	{"trixie", func(t testing.TB) rig.QEMU { return testkit.SuiteQEMU(t, "trixie") }, sysroot},
	{"sid", func(t testing.TB) rig.QEMU { return testkit.SuiteQEMU(t, "sid") }, sysroot},
	{"dwarf", testkit.DebugQEMU, form("dwarf")},
	{"stripped", testkit.DebugQEMU, form("stripped")},
}

func sysroot(_ testing.TB, q rig.QEMU) []string { return []string{"--sysroot", q.Root} }

// form are the flags that have a form of DebugQEMU used.
func form(name string) func(testing.TB, rig.QEMU) []string {
	return func(t testing.TB, _ rig.QEMU) []string {
		forms := testkit.Forms(t)
		f := forms[slices.IndexFunc(forms, func(f rig.Form) bool { return f.Name == name })]
		return []string{"--exe", f.Exe, "--debug-dir", f.DebugDir}
	}
}

// files are the flags that name the files of DIMMs.
func files(fixture *rig.Fixture, blocks ...string) []string {
	var flags []string
	for _, b := range blocks {
		flags = append(flags, "--ram", b+"="+filepath.Join(fixture.Dir, b+".img"))
	}
	return flags
}

// TestMemoryEqualsQEMU dumps guests with memory of every kind from the cores of QEMUs of every kind: the ranges and all bytes are
// those of QEMU's own dump of the live process.
//
// QEMU's own dump has of virtio-mem what is plugged, and it has NVDIMMs: it passes over regions that are nonvolatile
// (guest_phys_blocks_region_add), but what an NVDIMM maps is an alias, and the region behind it is not marked.
func TestMemoryEqualsQEMU(t *testing.T) {
	for _, e := range emulators {
		for _, config := range []rig.Config{rig.VirtioMem, rig.VirtioMemSlots, rig.DIMMs, rig.HugePagesInCore} {
			if config.Name == rig.VirtioMemSlots.Name && e.name != "trixie" && e.name != "sid" {
				continue // no QEMU of before 8.2 can
			}
			t.Run(e.name+"/"+config.Name, func(t *testing.T) {
				fixture := testkit.Boot(t, e.qemu(t), config)
				flags := e.flags(t, fixture.QEMU)
				if config.Name == rig.DIMMs.Name {
					flags = append(flags, files(fixture, "quiet", "shared", "nv")...)
				}
				ours, own := dump(t, fixture, flags...), testkit.Open(t, fixture.QMPDump)
				testkit.Equal(t, ours, own)
				if err := vmcore.CompareLoads(ours, own); err != nil {
					t.Error(err)
				}
				if !config.Paging {
					return
				}
				// The kernel has unplugged memory mapped where it shares a memory block of Linux with plugged one.
				ours, own = dump(t, fixture, append(flags, "-p")...), testkit.Open(t, fixture.PagingDump())
				testkit.Equal(t, ours, own)
				if err := vmcore.CompareLoads(ours, own); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestVirtioMemDiffersFromScript shows where a dump has less than the Python script makes of the same core: the script takes the
// whole of a virtio-mem device's memory for the guest's, since it knows nothing of what is plugged. What we print while we dump is
// the script's table, with a note.
func TestVirtioMemDiffersFromScript(t *testing.T) {
	fixture := testkit.Boot(t, testkit.DebugQEMU(t), rig.VirtioMem)
	ours, script := dump(t, fixture), testkit.ScriptDump(t, fixture)
	if _, err := vmcore.CompareWithin(ours, script); err != nil {
		t.Error(err)
	}
	var all uint64
	for _, l := range script.Loads {
		all += l.Memsz
	}
	for _, l := range ours.Loads {
		all -= l.Memsz
	}
	var unplugged uint64
	for _, d := range memoryDevices(t, fixture) {
		unplugged += d.Max - d.Size
	}
	if all != unplugged || unplugged == 0 {
		t.Errorf("the script's dump has %#x bytes more, %#x are not plugged", all, unplugged)
	}
	result := testkit.Guestcore(t, "dump", fixture.Core, filepath.Join(t.TempDir(), "vmcore"))
	for _, l := range script.Loads {
		if !strings.Contains(result.Output, fmt.Sprintf("%016x", l.Paddr)) {
			t.Errorf("no row of the script's for %#x:\n%s", l.Paddr, result.Output)
		}
	}
	if !strings.Contains(result.Output, "note: virtio-mem has 64.0 MiB of the 256.0 MiB") {
		t.Errorf("what is left out is not told:\n%s", result.Output)
	}
}

// TestVirtioMemInfo holds what is said of virtio-mem against what QEMU said.
func TestVirtioMemInfo(t *testing.T) {
	for _, e := range emulators {
		t.Run(e.name, func(t *testing.T) {
			fixture := testkit.Boot(t, e.qemu(t), rig.VirtioMem)
			blocks := infoOf(t, fixture.Core, e.flags(t, fixture.QEMU)...).RAMBlocks
			for _, d := range memoryDevices(t, fixture) {
				name := filepath.Base(d.Memdev)
				i := slices.IndexFunc(blocks, func(b ramBlock) bool { return filepath.Base(b.Name) == name })
				if i < 0 || blocks[i].VirtioMem == nil {
					t.Errorf("nothing is said of %s: %+v", name, blocks)
					continue
				}
				if v := blocks[i].VirtioMem; v.Plugged != d.Size || v.Requested != d.Requested || v.BlockSize != d.BlockSize || blocks[i].Used != d.Max {
					t.Errorf("%s is %+v of %#x bytes, QEMU says %+v", name, *v, blocks[i].Used, d)
				}
			}
		})
	}
}

// memoryDevice is a virtio-mem device as QEMU describes it.
type memoryDevice struct {
	Memdev    string
	Size      uint64
	Max       uint64 `json:"max-size"`
	Requested uint64 `json:"requested-size"`
	BlockSize uint64 `json:"block-size"`
}

func memoryDevices(t *testing.T, fixture *rig.Fixture) []memoryDevice {
	t.Helper()
	text, err := os.ReadFile(fixture.MemoryDevices())
	if err != nil {
		t.Fatal(err)
	}
	var found []struct{ Data memoryDevice }
	if err := json.Unmarshal(text, &found); err != nil || len(found) != 3 {
		t.Fatalf("%v in %s", err, text)
	}
	var devices []memoryDevice
	for _, f := range found {
		devices = append(devices, f.Data)
	}
	return devices
}

// TestNonvolatile leaves an NVDIMM out on demand: then its file is not asked for, and all else is as QEMU has it.
func TestNonvolatile(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.DIMMs)
	kind := ""
	for _, r := range infoOf(t, fixture.Core).FlatView {
		if r.Name == "nv" {
			kind = r.Kind
		}
	}
	if kind != "nvram" {
		t.Errorf("the NVDIMM is %q", kind)
	}
	own := testkit.Open(t, fixture.QMPDump)
	all := dump(t, fixture, append(files(fixture, "quiet", "shared", "nv"), "--include-pmem")...)
	testkit.Equal(t, all, own)
	without := dump(t, fixture, append(files(fixture, "quiet", "shared"), "--exclude-pmem")...)
	if _, err := vmcore.CompareWithin(without, own); err != nil {
		t.Error(err)
	}
	const nvdimm = 0x1_4000_0000
	want := slices.DeleteFunc(slices.Clone(own.Ranges()), func(r vmcore.Range) bool { return r.Addr == nvdimm })
	if got := without.Ranges(); !slices.Equal(got, want) || len(want) == len(own.Ranges()) {
		t.Errorf("ranges %v, want %v", got, want)
	}
}

// TestMemoryElsewhere refuses dumps that would lack memory, and says where it is.
func TestMemoryElsewhere(t *testing.T) {
	stock := testkit.StockQEMU(t)
	dimms, huge := testkit.Boot(t, stock, rig.DIMMs), testkit.Boot(t, stock, rig.HugePages)
	for _, test := range []struct {
		name  string
		core  string
		flags []string
		says  []string
	}{
		{"files", dimms.Core, nil, []string{"quiet.img", "--ram shared=", "nv.img, or leave nonvolatile memory out with --exclude-pmem"}},
		{"files without the NVDIMM", dimms.Core, append(files(dimms, "quiet"), "--exclude-pmem"), []string{"lacks 8.0 MiB", "--ram shared="}},
		{"huge pages", huge.Core, nil, []string{`RAM block "ram"`, "coredump_filter"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			args := append(append([]string{"dump"}, test.flags...), test.core, filepath.Join(dir, "vmcore"))
			refused(t, testkit.Guestcore(t, args...), test.says...)
			empty(t, dir)
		})
	}
}

// TestConfidential finds what would make a guest confidential in the core of a real QEMU. Without the hardware none gets far: this
// one fails an assertion as it starts, under TCG, where nothing is encrypted. Newer ones end with an error and no core, the one
// with debug information is built without.
func TestConfidential(t *testing.T) {
	core, err := rig.Assertion(t.Context(), t.TempDir(), testkit.StockQEMU(t), "-machine", "q35,confidential-guest-support=sev0", "-m", "64M",
		"-object", "sev-guest,id=sev0,cbitpos=47,reduced-phys-bits=1")
	if err != nil {
		t.Fatal(err)
	}
	m := infoOf(t, core).Machine
	if m.Confidential != "sev-guest" || !slices.ContainsFunc(m.Notes, func(n string) bool { return strings.Contains(n, "not so under tcg") }) {
		t.Errorf("confidential %q, notes %q", m.Confidential, m.Notes)
	}
}
