package qemu

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// grow maps what was allocated since the fake was made.
func (f *fake) grow() { f.insert(fakeHeap, uint64(len(f.heap)), int64(len(f.data)), extent.Data) }

// Hot-plugged memory of a fake: a block of 16 pages behind the others.
const (
	hotStart = addr.GPA(0x1_0000_0000)
	hotHost  = fakeRAM + 0x130000
	hotSize  = 0x10000
)

// hot gives a fake a memory backend's block, and a range of the FlatView that
// shows it.
func (f *fake) hot() (region, block addr.HVA) {
	region = f.block("/objects/mem1", hotHost, hotSize)
	f.put(f.at(region, "MemoryRegion", "owner"), uint64(f.object("memory-backend-ram", 0x100)))
	f.flatRange(fakeRanges, uint64(hotStart), hotSize, 0, region)
	binary.LittleEndian.PutUint32(f.bytes(f.at(f.view, "FlatView", "nr")), fakeRanges+1)
	return region, f.blocks[len(f.blocks)-1]
}

// fakeVirtioDevice is sizeof(VirtIODevice).
const fakeVirtioDevice = 0x200

// virtioMem makes a device with a layout of builtinVirtioMem that hands out a
// hot block: a bit of plugged for each page.
func (f *fake) virtioMem(layout string, region addr.HVA, plugged uint16) *virtioMem {
	tables, err := parseBuiltinVirtioMem()
	if err != nil {
		f.t.Fatal(err)
	}
	f.qomType("virtio-device", "object", fakeVirtioDevice)
	f.qomType("virtio-mem", "virtio-device", fakeVirtioDevice+0x100)
	d := &virtioMem{f: f, table: tables[layout], addr: f.object("virtio-mem", fakeVirtioDevice+0x100), bitmap: f.alloc(8)}
	pages := uint64(0)
	for b := plugged; b != 0; b &= b - 1 {
		pages++
	}
	f.put(d.bitmap, uint64(plugged))
	binary.LittleEndian.PutUint32(f.bytes(d.at("bitmap_size")), hotSize/fakePage)
	d.put("bitmap", uint64(d.bitmap))
	d.put("memdev", f.word(f.at(region, "MemoryRegion", "owner")))
	d.put("addr", uint64(hotStart))
	d.put("usable_region_size", hotSize)
	d.put("size", pages*fakePage)
	d.put("requested_size", hotSize/2)
	d.put("block_size", fakePage)
	return d
}

type virtioMem struct {
	f            *fake
	table        *ctype.Table
	addr, bitmap addr.HVA
}

func (d *virtioMem) at(path string) addr.HVA {
	s, err := d.table.Struct("VirtIOMEM")
	if err != nil {
		d.f.t.Fatal(err)
	}
	field, err := s.Field(path)
	if err != nil {
		d.f.t.Fatal(err)
	}
	return d.addr + fakeVirtioDevice + addr.HVA(field.Offset)
}

func (d *virtioMem) put(path string, v uint64) { d.f.put(d.at(path), v) }

// manage makes a RamDiscardManager that is an object of its own, with one
// source: in a list as in 11.1, or as its only one.
func (f *fake) manage(region, source addr.HVA, listed bool) addr.HVA {
	const object = 40
	f.qomType(typeDiscardManager, "object", object+32)
	m := f.object(typeDiscardManager, object+32)
	if !listed {
		f.put(m+object, uint64(source))
		f.put(m+object+8, uint64(region))
		return m
	}
	entry := f.alloc(24)
	f.put(entry, uint64(source))
	f.put(entry+16, uint64(m+object+8))
	f.put(m+object, uint64(region))
	f.put(m+object+8, uint64(entry))
	f.put(m+object+16, fakePage)
	return m
}

// discard gives a fake a hot block of which the guest has a part, by
// virtio-mem or since it is confidential.
func (f *fake) discard(plugged bool) {
	region, block := f.hot()
	defer f.grow()
	if !f.has("MemoryRegion", "rdm") {
		return
	}
	source := addr.HVA(0)
	if plugged {
		source = f.virtioMem("8.2.0", region, 0b1000_0111_0000_0110).addr
	} else {
		source = f.attributes(block, 0b1111_1111_1111_0011)
	}
	f.put(f.at(region, "MemoryRegion", "rdm"), uint64(f.manage(region, source, true)))
}

// attributes makes the RamBlockAttributes of a hot block: a bit of shared for
// each page.
func (f *fake) attributes(block addr.HVA, shared uint16) addr.HVA {
	binary.LittleEndian.PutUint32(f.bytes(f.at(block, "RAMBlock", "flags")), ramGuestMemfd)
	f.qomType(typeRAMAttributes, "object", 80)
	a, bits := f.object(typeRAMAttributes, 80), f.alloc(8)
	f.put(a+40, uint64(block))
	f.put(a+48, hotSize/fakePage)
	f.put(a+56, uint64(bits))
	f.put(bits, uint64(shared))
	return a
}

// hotRanges are the ranges of a machine from hotStart on.
func hotRanges(m *guest.Machine) (out []string) {
	for _, r := range m.Image.Ranges {
		if r.Addr >= hotStart {
			out = append(out, fmt.Sprintf("%#x+%#x at %#x", uint64(r.Addr-hotStart), r.Size, uint64(r.Host-hotHost)))
		}
	}
	return out
}

// openGuest opens a fake.
func openGuest(t *testing.T, f *fake) (*VM, *guest.Machine) {
	t.Helper()
	f.grow()
	vm, err := Open(f.source(true))
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Guest("")
	if err != nil {
		t.Fatal(err)
	}
	return vm, m
}

// Of virtio-mem what is plugged is memory, whichever way QEMU has it recorded.
func TestVirtioMem(t *testing.T) {
	const plugged = 0b1000_0111_0000_0110
	want := []string{"0x1000+0x2000 at 0x1000", "0x8000+0x3000 at 0x8000", "0xf000+0x1000 at 0xf000"}
	direct := func(f *fake, _, source addr.HVA) addr.HVA { return source }
	for _, c := range []struct {
		version, layout string
		discards        func(f *fake, region, source addr.HVA) addr.HVA
	}{
		{"6.1.0", "6.1.0", direct},
		{"7.2.22", "6.1.0", direct},
		{"8.2.0", "8.2.0", direct},
		{"10.1.0", "8.2.0", direct},
		{"11.1.3", "8.2.0", func(f *fake, region, source addr.HVA) addr.HVA { return f.manage(region, source, false) }},
		{"11.1.3", "8.2.0", func(f *fake, region, source addr.HVA) addr.HVA { return f.manage(region, source, true) }},
	} {
		t.Run(c.version, func(t *testing.T) {
			f := newFake(t, c.version)
			region, _ := f.hot()
			f.put(f.at(region, "MemoryRegion", "rdm"), uint64(c.discards(f, region, f.virtioMem(c.layout, region, plugged).addr)))
			vm, m := openGuest(t, f)
			if d := cmp.Diff(want, hotRanges(m)); d != "" {
				t.Errorf("ranges (-want +got):\n%s", d)
			}
			if len(m.Warnings) > 0 || len(m.Notes) != 2 || !strings.Contains(m.Notes[1], `24.0 KiB of the 64.0 KiB of RAM block "/objects/mem1"`) {
				t.Errorf("warnings %q, notes %q", m.Warnings, m.Notes)
			}
			rows := vm.Rows()
			if last := rows[len(rows)-1]; last.Start != hotStart || last.End != hotStart+hotSize {
				t.Errorf("the script's last row is %+v: it knows nothing of virtio-mem", last)
			}
			checkImage(t, f, m)
		})
	}
}

// A range that shows a part of the block, as one of dynamic-memslots does, has
// of it what is plugged.
func TestVirtioMemPart(t *testing.T) {
	f := newFake(t, "9.0.0")
	region, _ := f.hot()
	f.put(f.at(region, "MemoryRegion", "rdm"), uint64(f.virtioMem("8.2.0", region, 0b0011_1111_1100_0000).addr))
	f.flatRange(fakeRanges, uint64(hotStart)+0x8000, 0x4000, 0x8000, region)
	_, m := openGuest(t, f)
	if d := cmp.Diff([]string{"0x8000+0x4000 at 0x8000"}, hotRanges(m)); d != "" {
		t.Errorf("ranges (-want +got):\n%s", d)
	}
}

// Where the device cannot be read, all of its block is taken for memory, and
// the user is told.
func TestVirtioMemUnreadable(t *testing.T) {
	for name, breaks := range map[string]func(*fake, *virtioMem){
		"another backend":   func(f *fake, d *virtioMem) { d.put("memdev", uint64(f.backend)) },
		"another address":   func(_ *fake, d *virtioMem) { d.put("addr", uint64(hotStart)+fakePage) },
		"block size":        func(_ *fake, d *virtioMem) { d.put("block_size", 3*fakePage) },
		"no block size":     func(_ *fake, d *virtioMem) { d.put("block_size", 0) },
		"bits":              func(f *fake, d *virtioMem) { f.bytes(d.at("bitmap_size"))[0]++ },
		"size":              func(_ *fake, d *virtioMem) { d.put("size", 7*fakePage) },
		"too much plugged":  func(_ *fake, d *virtioMem) { d.put("size", 17*fakePage) },
		"too much usable":   func(_ *fake, d *virtioMem) { d.put("usable_region_size", hotSize+fakePage) },
		"no bitmap":         func(_ *fake, d *virtioMem) { d.put("bitmap", 0x1000) },
		"an unknown source": func(f *fake, d *virtioMem) { f.put(f.at(f.regionOf(3), "MemoryRegion", "rdm"), uint64(f.machine)) },
		"no object":         func(f *fake, d *virtioMem) { f.put(f.at(f.regionOf(3), "MemoryRegion", "rdm"), uint64(d.bitmap)) },
		"a second source": func(f *fake, d *virtioMem) {
			m := f.manage(f.regionOf(3), d.addr, true)
			second := f.alloc(24)
			f.put(second, uint64(f.machine))
			f.put(addr.HVA(f.word(m+48))+8, uint64(second))
			f.put(f.at(f.regionOf(3), "MemoryRegion", "rdm"), uint64(m))
		},
		"no source": func(f *fake, d *virtioMem) {
			f.put(f.at(f.regionOf(3), "MemoryRegion", "rdm"), uint64(f.manage(f.regionOf(3), 0, true)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "10.0.0")
			region, _ := f.hot()
			d := f.virtioMem("8.2.0", region, 0b1010)
			f.put(f.at(region, "MemoryRegion", "rdm"), uint64(d.addr))
			breaks(f, d)
			_, m := openGuest(t, f)
			if d := cmp.Diff([]string{"0x0+0x10000 at 0x0"}, hotRanges(m)); d != "" {
				t.Errorf("ranges (-want +got):\n%s", d)
			}
			if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "all of it is taken for memory") || !strings.Contains(m.Warnings[0], "/objects/mem1") {
				t.Errorf("warnings %q", m.Warnings)
			}
		})
	}
}

// QEMU's own dump joins ranges of one region only, the script also those of
// neighbours in both spaces that are of different ones.
func TestJoinedRanges(t *testing.T) {
	f := newFake(t, "7.2.22")
	f.flatRange(4, 0x160000, 0x10000, 0, f.regionOf(1)) // pc.bios, mapped behind pc.ram
	f.flatRange(5, 0x1000000, 0x20000, 0, f.regionOf(2))
	vm, m := openGuest(t, f)
	rows := vm.Rows()
	if last := rows[len(rows)-1]; !last.Joined || last.Start != 0x160000 {
		t.Errorf("the script's rows are %+v", rows)
	}
	if r := m.Image.Ranges; len(r) != 4 || r[1].End() != 0x160000 || r[2].Addr != 0x160000 || r[2].Size != 0x10000 {
		t.Errorf("ranges %+v", r)
	}
}

// An NVDIMM shows a region that is not nonvolatile itself: QEMU's own dump has
// it. A region that is, it leaves out.
func TestNonvolatile(t *testing.T) {
	f := newFake(t, "8.0.0")
	f.hot()
	fr := f.ranges + addr.HVA(fakeRanges*f.size("FlatRange"))
	f.bytes(f.at(fr, "FlatRange", "nonvolatile"))[0] = 1
	vm, m := openGuest(t, f)
	var got []string
	for _, r := range m.Image.Ranges {
		got = append(got, fmt.Sprintf("%#x pmem %v unlisted %v", uint64(r.Addr), r.PMEM, r.Unlisted))
	}
	want := []string{"0x0 pmem false unlisted false", "0x100000 pmem false unlisted false", "0x1000000 pmem true unlisted true",
		"0xffff0000 pmem false unlisted false", "0x100000000 pmem true unlisted false"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ranges (-want +got):\n%s", d)
	}
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "--include-pmem") {
		t.Errorf("notes %q", m.Notes)
	}
	for i, kind := range map[int]string{0: "ram", 4: "nvram", 6: "nvram"} {
		if k := vm.FlatView()[i].Kind(); k != kind {
			t.Errorf("range %d is %s, want %s", i, k, kind)
		}
	}
}
