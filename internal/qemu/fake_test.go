package qemu

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

// A fake is a QEMU process made of bytes: its structures laid out by one
// release's table, as that release's compiler would have.
const (
	fakeExe  = "/usr/bin/qemu-system-x86_64"
	fakeData = addr.HVA(0x5555_5600_0000) // the executable's writable data
	fakeHeap = addr.HVA(0x5555_5700_0000)
	fakeRAM  = addr.HVA(0x7f00_0000_0000)
	fakePage = 4096
)

type fake struct {
	t     testing.TB
	table *ctype.Table
	data  []byte // at fakeData
	heap  []byte // at fakeHeap
	ram   []byte // at fakeRAM
	maps  *extent.Map[addr.HVA, addr.FileOff]
	file  *os.File               // the core
	files []inferior.FileMapping // besides the executable
	types map[string]addr.HVA    // TypeImpl by name

	space, view, ranges, machine, vmcoreinfo, backend addr.HVA
	blocks                                            []addr.HVA
}

// newFake builds a machine of 1 MiB of RAM with a hole in the middle, a ROM,
// an I/O region, an NVDIMM and two vCPUs.
func newFake(t testing.TB, version string) *fake {
	tables, err := parseLayoutTable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		t: t, table: tables[version], types: map[string]addr.HVA{},
		data: make([]byte, 16*fakePage), ram: make([]byte, 0x140000),
		maps: &extent.Map[addr.HVA, addr.FileOff]{},
	}
	for i := range f.ram {
		f.ram[i] = byte(i >> 12)
	}
	f.build()
	if f.file, err = os.Create(filepath.Join(t.TempDir(), "core")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.file.Close() })
	off := int64(0)
	for _, s := range []segment{{fakeData, f.data}, {fakeHeap, f.heap}, {fakeRAM, f.ram}} {
		if _, err := f.file.WriteAt(s.data, off); err != nil {
			t.Fatal(err)
		}
		f.insert(s.addr, uint64(len(s.data)), off, extent.Data)
		off += int64(len(s.data))
	}
	return f
}

func (f *fake) insert(a addr.HVA, size uint64, off int64, kind extent.Kind) {
	e := extent.Extent[addr.HVA, addr.FileOff]{Addr: a, Size: size, Off: addr.InFile(0, off), Kind: kind}
	if err := f.maps.Insert(e); err != nil {
		f.t.Fatal(err)
	}
}

// unmap takes memory out of the process.
func (f *fake) unmap(a addr.HVA, size uint64) {
	m := &extent.Map[addr.HVA, addr.FileOff]{}
	for _, part := range append(f.maps.Clip(0, uint64(a)), f.maps.Clip(a+addr.HVA(size), ^uint64(0))...) {
		if err := m.Insert(part); err != nil {
			f.t.Fatal(err)
		}
	}
	f.maps = m
}

func (f *fake) alloc(size uint64) addr.HVA {
	a := fakeHeap + addr.HVA(len(f.heap))
	f.heap = append(f.heap, make([]byte, (size+31)&^15)...)
	return a
}

// bytes is the process's memory from a on.
func (f *fake) bytes(a addr.HVA) []byte {
	switch {
	case a >= fakeRAM && a < fakeRAM+addr.HVA(len(f.ram)):
		return f.ram[a-fakeRAM:]
	case a >= fakeHeap && a < fakeHeap+addr.HVA(len(f.heap)):
		return f.heap[a-fakeHeap:]
	case a >= fakeData && a < fakeData+addr.HVA(len(f.data)):
		return f.data[a-fakeData:]
	}
	return nil
}

func (f *fake) put(a addr.HVA, v uint64) { binary.LittleEndian.PutUint64(f.bytes(a), v) }

func (f *fake) str(s string) addr.HVA {
	a := f.alloc(uint64(len(s)) + 1)
	copy(f.bytes(a), s)
	return a
}

// at is the address of a member.
func (f *fake) at(obj addr.HVA, typ, path string) addr.HVA {
	s, err := f.table.Struct(typ)
	if err != nil {
		f.t.Fatal(err)
	}
	field, err := s.Field(path)
	if err != nil {
		f.t.Fatal(err)
	}
	return obj + addr.HVA(field.Offset)
}

func (f *fake) size(typ string) uint64 {
	s, err := f.table.Struct(typ)
	if err != nil {
		f.t.Fatal(err)
	}
	return s.Size
}

func (f *fake) has(typ, path string) bool {
	s, err := f.table.Struct(typ)
	return err == nil && s.Has(path)
}

// qomType makes a TypeImpl.
func (f *fake) qomType(name, parent string, instance uint64) addr.HVA {
	if a, ok := f.types[name]; ok {
		return a
	}
	a := f.alloc(512)
	f.types[name] = a
	f.put(f.at(a, "TypeImpl", "name"), uint64(f.str(name)))
	f.put(f.at(a, "TypeImpl", "instance_size"), instance)
	if parent != "" {
		f.put(f.at(a, "TypeImpl", "parent_type"), uint64(f.types[parent]))
	}
	return a
}

// object makes an object of a type.
func (f *fake) object(name string, size uint64) addr.HVA {
	class := f.alloc(64)
	f.put(class, uint64(f.types[name]))
	a := f.alloc(size)
	f.put(a, uint64(class))
	return a
}

func (f *fake) region(name string, ram bool, block addr.HVA) addr.HVA {
	mr := f.object(regionType, f.size("MemoryRegion"))
	f.put(f.at(mr, "MemoryRegion", "name"), uint64(f.str(name)))
	if ram {
		f.bytes(f.at(mr, "MemoryRegion", "ram"))[0] = 1
		f.put(f.at(mr, "MemoryRegion", "ram_block"), uint64(block))
	}
	return mr
}

// regionType is the QOM type of a MemoryRegion before 6.0; the "qemu:" went.
const regionType = "qemu:memory-region"

// block makes a RAMBlock and its region, which come to the end of the list.
func (f *fake) block(name string, host addr.HVA, size uint64) (region addr.HVA) {
	b := f.alloc(f.size("RAMBlock"))
	region = f.region(name, true, b)
	f.put(f.at(b, "RAMBlock", "mr"), uint64(region))
	f.put(f.at(b, "RAMBlock", "host"), uint64(host))
	f.put(f.at(b, "RAMBlock", "used_length"), size)
	f.put(f.at(b, "RAMBlock", "max_length"), size)
	copy(f.bytes(f.at(b, "RAMBlock", "idstr")), name)
	slot := f.at(fakeData+512, "RAMList", "blocks.lh_first")
	if n := len(f.blocks); n > 0 {
		slot = f.at(f.blocks[n-1], "RAMBlock", "next")
	}
	f.put(slot, uint64(b))
	f.put(f.at(b, "RAMBlock", "next")+8, uint64(slot))
	f.blocks = append(f.blocks, b)
	return region
}

func (f *fake) flatRange(i int, start, size, off uint64, region addr.HVA) {
	fr := f.ranges + addr.HVA(uint64(i)*f.size("FlatRange"))
	f.put(f.at(fr, "FlatRange", "mr"), uint64(region))
	f.put(f.at(fr, "FlatRange", "offset_in_region"), off)
	f.put(f.at(fr, "FlatRange", "addr.start"), start)
	f.put(f.at(fr, "FlatRange", "addr.size"), size)
}

const (
	fakeRanges = 6
	fakeCPUs   = 2
	fakeNode   = 0x230 // of a vCPU's link: not in any table
	fakeNote   = 0x3000
)

func (f *fake) build() {
	f.qomType("object", "", 40)
	f.qomType(regionType, "object", f.size("MemoryRegion"))
	f.qomType("machine", "object", f.size("MachineState"))
	f.qomType("pc-q35-fake-machine", "machine", f.size("MachineState")+100)
	f.qomType("accel", "object", 48)
	f.qomType("tcg-accel", "accel", 64)
	f.qomType("cpu", "object", 0x800)
	f.qomType("qemu64-x86_64-cpu", "cpu", 0x2000)
	f.qomType("vmcoreinfo", "object", f.size("VMCoreInfoState"))
	f.qomType("memory-backend", "object", 0x100)
	f.qomType("memory-backend-ram", "memory-backend", 0x100)

	ram := f.block("pc.ram", fakeRAM, 0x100000)
	rom := f.block("pc.bios", fakeRAM+0x100000, 0x10000)
	nvdimm := f.block("nvdimm", fakeRAM+0x110000, 0x20000)
	f.bytes(f.at(rom, "MemoryRegion", "readonly"))[0] = 1
	if f.has("MemoryRegion", "nonvolatile") {
		f.bytes(f.at(nvdimm, "MemoryRegion", "nonvolatile"))[0] = 1
	} else {
		f.bytes(f.at(nvdimm, "MemoryRegion", "ram_device"))[0] = 1
	}
	io := f.region("vga", false, 0)
	f.backend = f.object("memory-backend-ram", 0x100)
	f.put(f.backend+40, 0x100000)
	f.bytes(f.backend + 49)[0] = 1
	f.put(f.at(ram, "MemoryRegion", "owner"), uint64(f.backend))

	f.view = f.alloc(f.size("FlatView"))
	f.ranges = f.alloc((fakeRanges + 2) * f.size("FlatRange"))
	f.put(f.at(f.view, "FlatView", "ref"), 1)
	f.put(f.at(f.view, "FlatView", "ranges"), uint64(f.ranges))
	binary.LittleEndian.PutUint32(f.bytes(f.at(f.view, "FlatView", "nr")), fakeRanges)
	binary.LittleEndian.PutUint32(f.bytes(f.at(f.view, "FlatView", "nr_allocated")), fakeRanges+2)
	f.flatRange(0, 0, 0x80000, 0, ram)
	f.flatRange(1, 0x80000, 0x20000, 0x80000, ram) // goes on: joined
	f.flatRange(2, 0xa0000, 0x20000, 0, io)
	f.flatRange(3, 0x100000, 0x60000, 0xa0000, ram)
	f.flatRange(4, 0x1000000, 0x20000, 0, nvdimm)
	f.flatRange(5, 0xffff0000, 0x10000, 0, rom)

	f.space = fakeData + 128
	f.put(f.at(f.space, "AddressSpace", "name"), uint64(f.str("memory")))
	f.put(f.at(f.space, "AddressSpace", "root"), uint64(f.region("system", false, 0)))
	f.put(f.at(f.space, "AddressSpace", "current_map"), uint64(f.view))

	f.machine = f.object("pc-q35-fake-machine", f.size("MachineState")+100)
	f.put(f.at(f.machine, "MachineState", "ram_size"), 0x100000)
	f.put(f.at(f.machine, "MachineState", "maxram_size"), 0x200000)
	f.bytes(f.at(f.machine, "MachineState", "dump_guest_core"))[0] = 1
	f.put(f.machine+0xb8, uint64(f.object("tcg-accel", 64)))
	f.put(fakeData+1024, uint64(f.machine))

	head := fakeData + 1032
	slot := head
	for range fakeCPUs {
		cpu := f.object("qemu64-x86_64-cpu", 0x2000)
		f.put(slot, uint64(cpu))
		f.put(cpu+fakeNode+8, uint64(slot))
		slot = cpu + fakeNode
	}
	f.put(head+8, uint64(slot))

	f.vmcoreinfo = f.object("vmcoreinfo", f.size("VMCoreInfoState"))
	f.put(fakeData+1064, uint64(f.vmcoreinfo))
	f.bytes(f.at(f.vmcoreinfo, "VMCoreInfoState", "has_vmcoreinfo"))[0] = 1
	info := f.at(f.vmcoreinfo, "VMCoreInfoState", "vmcoreinfo.host_format")
	note := append([]byte{11, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}, "VMCOREINFO\x00\x00hello\n\x00\x00"...)
	copy(f.ram[fakeNote:], note)
	binary.LittleEndian.PutUint16(f.bytes(info+2), vmcoreinfoELF)
	binary.LittleEndian.PutUint32(f.bytes(info+4), fakePage)
	f.put(info+8, fakeNote)
}

// source is the process to open: with the one symbol that matters, or with
// none.
func (f *fake) source(symbol bool) Source {
	src := Source{Process: f, ExePath: fakeExe, Symbols: map[string]addr.HVA{}}
	if symbol {
		src.Symbols[symAddressSpaceMemory] = f.space
	}
	return src
}

func (f *fake) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		a := addr.HVA(off) + addr.HVA(n)
		e, ok := f.maps.Find(a)
		if !ok || e.Kind == extent.Lost {
			return n, &inferior.FaultError{Addr: a}
		}
		m := min(uint64(len(p)-n), uint64(e.End()-a))
		clear(p[n : n+int(m)])
		copy(p[n:n+int(m)], f.bytes(a))
		n += int(m)
	}
	return n, nil
}

func (f *fake) Host() inferior.Host {
	return inferior.Host{Machine: elf.EM_X86_64, Class: elf.ELFCLASS64, Order: binary.LittleEndian, PageSize: fakePage}
}
func (f *fake) PID() int                                      { return 1 }
func (f *fake) Command() []string                             { return []string{fakeExe} }
func (f *fake) Threads() []inferior.Thread                    { return nil }
func (f *fake) Auxv() []byte                                  { return nil }
func (f *fake) Mappings() *extent.Map[addr.HVA, addr.FileOff] { return f.maps }
func (f *fake) Backing() []addr.Source                        { return []addr.Source{f.file} }
func (f *fake) Protection(addr.HVA) (elf.ProgFlag, bool)      { return elf.PF_R | elf.PF_W, true }
func (f *fake) Close() error                                  { return nil }
func (f *fake) Files() []inferior.FileMapping {
	exe := inferior.FileMapping{Start: fakeData, End: fakeData + addr.HVA(len(f.data)), Path: fakeExe}
	return append([]inferior.FileMapping{exe}, f.files...)
}
