package qemu

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/internal/inferior"
)

// versions are all releases of the built-in table, oldest first.
func versions(t testing.TB) []string {
	tables, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for v := range tables {
		out = append(out, v)
	}
	slices.SortFunc(out, compareVersions)
	return out
}

// Every release's process is read right with the layouts built in, with
// address_space_memory known and with no symbol at all.
func TestEveryRelease(t *testing.T) {
	for _, version := range versions(t) {
		for name, symbol := range map[string]bool{"symbol": true, "scan": false} {
			t.Run(version+"/"+name, func(t *testing.T) {
				f := newFake(t, version)
				vm, err := Open(f.source(symbol))
				if err != nil {
					t.Fatal(err)
				}
				m, err := vm.Guest("auto")
				if err != nil {
					t.Fatal(err)
				}
				want := []guest.Range{
					{Addr: 0, Size: 0xa0000, Host: fakeRAM},
					{Addr: 0x100000, Size: 0x60000, Host: fakeRAM + 0xa0000},
					{Addr: 0xffff0000, Size: 0x10000, Host: fakeRAM + 0x100000, ROM: true},
				}
				if f.has("MemoryRegion", "nonvolatile") { // before, it is a host device's
					want = slices.Insert(want, 2, guest.Range{Addr: 0x1000000, Size: 0x20000, Host: fakeRAM + 0x110000, PMEM: true, Unlisted: true})
				}
				if d := cmp.Diff(want, m.Image.Ranges); d != "" {
					t.Errorf("ranges (-want +got):\n%s", d)
				}
				if d := cmp.Diff([]guest.Range{{Addr: 0xa0000, Size: 0x20000}}, m.Devices); d != "" {
					t.Errorf("devices (-want +got):\n%s", d)
				}
				if len(m.CPUs) != fakeCPUs {
					t.Errorf("%d processors", len(m.CPUs))
				}
				if len(m.Missing) != 0 || len(m.Warnings) != 0 {
					t.Errorf("missing %v, warnings %q", m.Missing, m.Warnings)
				}
				if m.Arch.Name != "X86_64" {
					t.Errorf("architecture %s", m.Arch)
				}
				if !strings.Contains(string(m.VMCoreInfo), "hello\n") || len(m.VMCoreInfo) != 12+12+8 {
					t.Errorf("vmcoreinfo note %q", m.VMCoreInfo)
				}
				page := make([]byte, 1)
				if _, err := m.Image.ReadAt(page, 0x101000); err != nil || page[0] != 0xa1 {
					t.Errorf("guest memory at 0x101000: %#x, %v", page[0], err)
				}
				got := vm.Machine()
				got.Notes = nil // no version without an executable
				wantMachine := Machine{Type: "pc-q35-fake", Accelerator: "tcg", Arch: "X86_64", CPUType: "qemu64-x86_64-cpu", CPUs: fakeCPUs, RAM: 0x100000}
				if d := cmp.Diff(wantMachine, got); d != "" {
					t.Errorf("machine (-want +got):\n%s", d)
				}
				if n := len(vm.RAMBlocks()); n != 3 {
					t.Errorf("%d RAM blocks", n)
				}
			})
		}
	}
}

// The layout of another family of releases is never taken.
func TestOtherFamilyIsRefused(t *testing.T) {
	tables, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	names := familyNames(tables)
	refused := 0
	for _, have := range versions(t) {
		f := newFake(t, have)
		for _, other := range versions(t) {
			vm := &VM{src: f.source(true), globals: map[string]Global{}}
			vm.use(layout{Layouts: tables[other], Name: other, Table: true})
			err := vm.try(f.space)
			if names[have] == names[other] {
				continue // TypeImpl alone may differ
			}
			if err == nil {
				t.Errorf("process of %s was read with the layout of %s", have, other)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Error("all releases are one family")
	}
}

// What must hold in every QEMU is checked: each case breaks one thing.
func TestInvariants(t *testing.T) {
	set := func(typ, path string, obj func(*fake) addr.HVA, v uint64) func(*fake) {
		return func(f *fake) { f.put(f.at(obj(f), typ, path), v) }
	}
	space := func(f *fake) addr.HVA { return f.space }
	view := func(f *fake) addr.HVA { return f.view }
	block := func(f *fake) addr.HVA { return f.blocks[0] }
	rangeN := func(n int) func(*fake) addr.HVA {
		return func(f *fake) addr.HVA { return f.ranges + addr.HVA(n)*addr.HVA(f.size("FlatRange")) }
	}
	for name, c := range map[string]struct {
		breaks func(*fake)
		want   string
	}{
		"name": {func(f *fake) {
			f.put(f.at(f.space, "AddressSpace", "name"), f.word(f.at(f.regionOf(1), "MemoryRegion", "name")))
		}, `named "pc.bios"`},
		"root":              {set("AddressSpace", "root", space, 0), "null pointer"},
		"no view":           {set("AddressSpace", "current_map", space, 0), "null pointer"},
		"view not mapped":   {set("AddressSpace", "current_map", space, 0x1000), "no memory at"},
		"nr":                {set("FlatView", "nr", view, 9<<32|7), ""},
		"nr over allocated": {set("FlatView", "nr", view, 5<<32|6), "cannot be"},
		"empty range":       {set("FlatRange", "addr.size", rangeN(0), 0), "cannot be"},
		"beyond 2^64":       {func(f *fake) { f.put(f.at(rangeN(0)(f), "FlatRange", "addr.size")+8, 1) }, "cannot be"},
		"overlap":           {set("FlatRange", "addr.start", rangeN(1), 0x7f000), "begins before the end"},
		"not a region":      {set("FlatRange", "mr", rangeN(0), uint64(fakeRAM)), "no memory at 0x0"},
		"other object":      {func(f *fake) { f.put(f.at(rangeN(0)(f), "FlatRange", "mr"), uint64(f.machine)) }, "its QOM type is"},
		"no block":          {func(f *fake) { f.put(f.at(f.regionOf(0), "MemoryRegion", "ram_block"), 0) }, "without a RAMBlock"},
		"bool":              {func(f *fake) { f.bytes(f.at(f.regionOf(0), "MemoryRegion", "ram_device"))[0] = 7 }, "not a bool"},
		"other's block": {func(f *fake) {
			f.put(f.at(f.regionOf(0), "MemoryRegion", "ram_block"), uint64(f.blocks[1]))
		}, "is not of region"},
		"range beyond block": {set("RAMBlock", "used_length", block, 0x100000-0x1000), "uses 0xff000 bytes"},
		"block too long":     {set("RAMBlock", "max_length", block, 1<<63), "cannot be"},
		"used over max":      {set("RAMBlock", "max_length", block, 0x1000), "cannot be"},
		"host":               {set("RAMBlock", "host", block, uint64(fakeRAM)+8), "not at a page"},
		"idstr":              {func(f *fake) { f.bytes(f.at(f.blocks[0], "RAMBlock", "idstr"))[0] = 7 }, "not printable"},
		"list":               {func(f *fake) { f.put(f.at(f.blocks[1], "RAMBlock", "next")+8, 0x1234) }, "list of RAM blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "7.2.22")
			c.breaks(f)
			_, err := Open(f.source(true))
			if c.want == "" {
				c.want = "no known layout"
			}
			if err == nil || !errors.Is(err, ErrNoLayout) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// word reads a fake's memory.
func (f *fake) word(a addr.HVA) uint64 { return binary.LittleEndian.Uint64(f.bytes(a)) }

// regionOf is the MemoryRegion of a block.
func (f *fake) regionOf(block int) addr.HVA {
	return addr.HVA(f.word(f.at(f.blocks[block], "RAMBlock", "mr")))
}

// Memory that the core lacks is zero only where that is certain; else it is
// missing, with the reason.
func TestMemoryNotInTheCore(t *testing.T) {
	const off, size = 0x10000, 0x20000 // in pc.ram and in guest memory
	dumpGuestCore := func(f *fake, on byte) { f.bytes(f.at(f.machine, "MachineState", "dump_guest_core"))[0] = on }
	for name, c := range map[string]struct {
		kind   extent.Kind
		change func(*fake, *Source)
		want   string // of the reason; "": reads as zero
	}{
		"never touched": {extent.Omitted, func(*fake, *Source) {}, ""},
		"never touched, on a board that does not look at -m": {extent.Omitted, func(f *fake, _ *Source) {
			for _, path := range []string{"ram_size", "maxram_size"} {
				f.put(f.at(f.machine, "MachineState", path), 128<<20)
			}
		}, ""},
		"no such size of RAM": {extent.Omitted, func(f *fake, _ *Source) {
			f.put(f.at(f.machine, "MachineState", "ram_size"), 128<<20)
			f.put(f.at(f.machine, "MachineState", "maxram_size"), 256<<20)
		}, "not known"},
		"dump-guest-core=off": {extent.Omitted, func(f *fake, _ *Source) { dumpGuestCore(f, 0) }, "dump-guest-core=off"},
		"backend dump=off":    {extent.Omitted, func(f *fake, _ *Source) { f.bytes(f.backend + 49)[0] = 0 }, "dump=off"},
		"backend unlike any":  {extent.Omitted, func(f *fake, _ *Source) { f.put(f.backend+40, 77) }, "not known"},
		"file": {extent.Omitted, func(f *fake, _ *Source) {
			f.files = []inferior.FileMapping{{Start: fakeRAM, End: fakeRAM + 0x100000, Path: "/dev/shm/guest"}}
		}, "--ram pc.ram=/dev/shm/guest"},
		"backend before 4.0": {extent.Omitted, func(f *fake, _ *Source) {
			clear(f.bytes(f.backend + 40)[:10])
			f.put(f.backend+40, uint64(f.str("mem0")))
			f.put(f.backend+48, 0x100000)
		}, "dump=off"},
		"no owner known": {extent.Omitted, func(f *fake, _ *Source) {
			f.put(f.at(f.regionOf(0), "MemoryRegion", "owner"), uint64(fakeRAM))
		}, "not known"},
		"no machine": {extent.Omitted, func(f *fake, _ *Source) { f.put(fakeData+1024, 0) }, "not known"},
		"cut short":  {extent.Lost, func(*fake, *Source) {}, "ends before it"},
		"not mapped": {extent.Omitted, func(f *fake, _ *Source) { f.unmap(fakeRAM+off, size) }, "no mapping"},
		"not mapped, in a process": {extent.Omitted, func(f *fake, src *Source) {
			f.unmap(fakeRAM+off, size)
			src.Live = true
			dumpGuestCore(f, 0)
		}, "the process has nothing mapped"},
		"left out by gcore": {extent.Omitted, func(f *fake, _ *Source) {
			f.unmap(fakeRAM+off, size)
			dumpGuestCore(f, 0)
		}, "dump-guest-core=off"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "8.2.0")
			f.insert(fakeRAM+off, size, 0, c.kind)
			src := f.source(true)
			c.change(f, &src)
			vm, err := Open(src)
			if err != nil {
				t.Fatal(err)
			}
			m, err := vm.Guest("")
			if err != nil {
				t.Fatal(err)
			}
			e, _ := m.Image.Map.Find(off)
			if c.want == "" {
				if e.Kind != extent.Zero || e.Size != size || len(m.Missing) != 0 {
					t.Errorf("extent %+v, missing %v: want zeros", e, m.Missing)
				}
				return
			}
			if len(m.Missing) != 1 || m.Missing[0].Addr != off || m.Missing[0].Size != size || !strings.Contains(m.Missing[0].Reason, c.want) {
				t.Errorf("missing %+v, want %#x bytes at %#x because of %q", m.Missing, size, off, c.want)
			}
			if e.Kind.Present() {
				t.Errorf("extent %+v is present", e)
			}
		})
	}
}

// --ram gives what the core lacks, and only that.
func TestGivenRAM(t *testing.T) {
	f := newFake(t, "9.2.0")
	f.insert(fakeRAM+0x10000, 0x1000, 0, extent.Omitted)
	open := func(name string, size int) (*VM, error) {
		path := filepath.Join(t.TempDir(), "ram")
		if err := os.WriteFile(path, []byte(strings.Repeat("R", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		src := f.source(true)
		src.RAM = map[string]*os.File{name: file}
		return Open(src)
	}
	vm, err := open("pc.ram", 0x100000)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	var p [0x3000]byte
	if _, err := m.Image.ReadAt(p[:], 0xf000); err != nil {
		t.Fatal(err)
	}
	if p[0] != 0x0f || p[0x1000] != 'R' || p[0x1fff] != 'R' || p[0x2000] != 0x11 {
		t.Errorf("bytes %#x %#x %#x %#x", p[0], p[0x1000], p[0x1fff], p[0x2000])
	}
	// Where QEMU had mapped the file from an offset on (memory-backend-file,offset=, 8.1), the block begins there.
	f.files = []inferior.FileMapping{{Start: fakeRAM - 0x1000, End: fakeRAM + 0x100000, Offset: 0x4000, Path: "/guest"}}
	if vm, err = open("pc.ram", 0x105000); err != nil {
		t.Fatal(err)
	}
	if m, err = vm.Guest(""); err != nil {
		t.Fatal(err)
	}
	if e, _ := m.Image.Map.Find(0x10000); e.Kind != extent.Data || e.Off.Offset() != 0x15000 {
		t.Errorf("memory of the file is at %+v", e)
	}
	if _, err := open("pc.ram", 0x100000); err == nil || !strings.Contains(err.Error(), "from offset 0x5000") {
		t.Errorf("file that ends early: %v", err)
	}
	f.files = nil
	if _, err := open("pc.ram", 0x1000); err == nil || !strings.Contains(err.Error(), "the block 0x100000") {
		t.Errorf("short file: %v", err)
	}
	if _, err := open("pcram", 0x100000); err == nil || !strings.Contains(err.Error(), "there are nvdimm, pc.bios, pc.ram") {
		t.Errorf("unknown block: %v", err)
	}
}

func TestArch(t *testing.T) {
	vm, err := Open(newFake(t, "7.2.22").source(true))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "X86_64", "auto": "X86_64", "x86_64": "X86_64", "amd64": "X86_64", "386": "386", "i386": "386"} {
		if g, _, err := vm.Arch(name); err != nil || g.Name != want {
			t.Errorf("Arch(%q) = %v, %v; want %s", name, g, err, want)
		}
	}
	if _, _, err := vm.Arch("s390"); !errors.Is(err, ErrArch) || !strings.Contains(err.Error(), "s390") || !strings.Contains(err.Error(), "x86_64-cpu") {
		t.Errorf("Arch(s390): %v", err)
	}
	if _, _, err := vm.Arch("vax"); err == nil || !strings.Contains(err.Error(), "ppc64-le") {
		t.Errorf("Arch(vax): %v", err)
	}
}

// A QEMU with neither symbols nor a known layout is refused, with what failed
// and what would help.
func TestNoSymbolsAndNoLayout(t *testing.T) {
	f := newFake(t, "7.2.22")
	f.put(f.at(f.types[regionType], "TypeImpl", "instance_size"), 4711) // as in a QEMU to come
	_, err := Open(f.source(false))
	if !errors.Is(err, ErrNoLayout) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"sizeof(MemoryRegion) is 4711", "QEMU's debug information", "--debug-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

// A process without a guest is no QEMU.
func TestNotQEMU(t *testing.T) {
	f := newFake(t, "7.2.22")
	clear(f.data)
	if _, err := Open(f.source(false)); !errors.Is(err, ErrNotQEMU) {
		t.Errorf("error %v", err)
	}
}

func FuzzTrimNote(f *testing.F) {
	f.Add([]byte("\x0b\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00VMCOREINFO\x00\x00hello\n\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x0b\x00\x00\x00\x02\x00\x00\x00\x00VMCOREINFO\x00\x00a\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < nhdrSize {
			return
		}
		note, order, err := trimNote(p)
		if err != nil {
			return
		}
		if len(note) > len(p) || len(note)%4 != 0 || len(note) < 24+int(order.Uint32(note[4:])) {
			t.Errorf("note of %d bytes out of %d", len(note), len(p))
		}
	})
}
