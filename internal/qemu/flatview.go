package qemu

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"guestcore/internal/addr"
	"guestcore/internal/cvalue"
)

// maxRanges bounds what is believed of a FlatView's size. A machine with
// every device there is has a few hundred ranges.
const maxRanges = 1_000_000

// maxName is the longest name of a region or type that is read, NUL included.
const maxName = 256

// FlatRange is one range of a FlatView: what a guest-physical address leads to.
type FlatRange struct {
	Start          addr.GPA
	Size           uint64 // bytes; one less for a range up to the end of all addresses
	OffsetInRegion uint64 // bytes
	ReadOnly       bool   // as the guest sees it
	Nonvolatile    bool   // NVDIMM and the like; since 3.1
	Region         *Region
	// Where RAM is: its block, and the range's place in the process. nil and 0
	// for other ranges.
	Block *RAMBlock
	Host  addr.HVA
}

// End is the address behind the last byte.
func (r FlatRange) End() addr.GPA { return r.Start + addr.GPA(r.Size) }

// Region is a MemoryRegion.
type Region struct {
	Addr        addr.HVA
	Name        string
	RAM         bool // ROMs and flash included
	ReadOnly    bool
	ROMDevice   bool
	RAMDevice   bool // a host device's memory, passed through
	Nonvolatile bool // the region itself, not one that shows a part of it; since 3.1
	Owner       addr.HVA
	Block       addr.HVA
	Discards    addr.HVA // its RamDiscardManager, 0 if it has none; since 6.1
}

// Kind is what a range is, in the words of QEMU's "info mtree -f".
func (r FlatRange) Kind() string {
	switch reg := r.Region; {
	case reg.RAMDevice:
		return "ramd"
	case reg.ROMDevice:
		return "romd"
	case reg.RAM && (r.Nonvolatile || reg.Nonvolatile):
		return "nvram"
	case reg.RAM && reg.ReadOnly:
		return "rom"
	case reg.RAM:
		return "ram"
	}
	return "io"
}

// FlatView is what the guest's memory bus looks like, in order of address.
func (vm *VM) FlatView() []FlatRange { return vm.view }

// readView reads the FlatView of the AddressSpace at a, and returns an error
// unless it is one beyond doubt.
func (vm *VM) readView(a addr.HVA) ([]FlatRange, error) {
	as := vm.space.At(a, "AddressSpace")
	if name := as.String("name", maxName); as.Err() == nil && name != "memory" {
		return nil, fmt.Errorf("AddressSpace at %#x is named %q, not \"memory\"", uint64(a), name)
	}
	if root := vm.readRegion(as.Deref("root", "MemoryRegion")); root.err != nil {
		return nil, fmt.Errorf("root of the AddressSpace at %#x: %w", uint64(a), root.err)
	} else if root.Name != "system" {
		return nil, fmt.Errorf("root region of the AddressSpace at %#x is named %q, not \"system\"", uint64(a), root.Name)
	}
	fv := as.Deref("current_map", "FlatView")
	ref, nr, allocated := fv.Uint32("ref"), fv.Uint32("nr"), fv.Uint32("nr_allocated")
	ranges := fv.Pointer("ranges")
	if err := fv.Err(); err != nil {
		return nil, err
	}
	if ref == 0 || ref > maxRanges || nr == 0 || nr > allocated || allocated > maxRanges {
		return nil, fmt.Errorf("FlatView at %#x: ref %d, nr %d, nr_allocated %d cannot be", uint64(fv.Addr), ref, nr, allocated)
	}
	stride := vm.space.At(ranges, "FlatRange").Size()
	if stride == 0 {
		return nil, fmt.Errorf("the size of a FlatRange is not known")
	}
	regions := map[addr.HVA]region{}
	view := make([]FlatRange, 0, nr)
	for i := range nr {
		fr := vm.space.At(ranges+addr.HVA(uint64(i)*stride), "FlatRange")
		r, err := vm.readRange(fr, regions)
		if err != nil {
			return nil, fmt.Errorf("flatview range %d: %w", i, err)
		}
		if i > 0 && r.Start < view[i-1].End() {
			return nil, fmt.Errorf("flatview range %d at %#x begins before the end of the last one, %#x", i, uint64(r.Start), uint64(view[i-1].End()))
		}
		view = append(view, r)
	}
	return view, nil
}

// readRange reads one FlatRange.
func (vm *VM) readRange(fr *cvalue.Object, regions map[addr.HVA]region) (FlatRange, error) {
	startHi, start := fr.Uint128("addr.start")
	sizeHi, size := fr.Uint128("addr.size")
	r := FlatRange{Start: addr.GPA(start), Size: size, OffsetInRegion: fr.Uint64("offset_in_region"), ReadOnly: fr.Bool("readonly")}
	if fr.Has("nonvolatile") {
		r.Nonvolatile = fr.Bool("nonvolatile")
	}
	mr := fr.Deref("mr", "MemoryRegion")
	if err := mr.Err(); err != nil {
		return r, err
	}
	reg, ok := regions[mr.Addr]
	if !ok {
		reg = vm.readRegion(mr)
		regions[mr.Addr] = reg
	}
	if reg.err != nil {
		return r, fmt.Errorf("MemoryRegion at %#x: %w", uint64(mr.Addr), reg.err)
	}
	r.Region = reg.Region
	// Some boards have a background of I/O up to 2^64.
	if !reg.RAM && start+size == 0 && (sizeHi == 1 && size == 0 || sizeHi == 0 && size != 0) {
		r.Size, sizeHi = size-1, 0
	}
	if startHi != 0 || sizeHi != 0 || r.Size == 0 || start+r.Size < start {
		return r, fmt.Errorf("start %#x_%016x, size %#x_%016x cannot be", startHi, start, sizeHi, size)
	}
	return r, nil
}

// region is a Region or what is wrong with it.
type region struct {
	*Region
	err error
}

// readRegion reads a MemoryRegion and checks that it is one.
func (vm *VM) readRegion(mr *cvalue.Object) region {
	if err := mr.Err(); err != nil {
		return region{err: err}
	}
	typ, err := vm.typeName(mr.Addr)
	if err != nil {
		return region{err: err}
	}
	if !strings.Contains(typ, "memory-region") { // "qemu:memory-region" before 6.0; IOMMU regions are subtypes
		return region{err: fmt.Errorf("its QOM type is %q", typ)}
	}
	if isPlainRegion(typ) {
		if err := vm.checkRegionType(mr); err != nil {
			return region{err: err}
		}
	}
	r := &Region{
		Addr:      mr.Addr,
		RAM:       mr.Bool("ram"),
		ReadOnly:  mr.Bool("readonly"),
		ROMDevice: mr.Bool("rom_device"),
		RAMDevice: mr.Bool("ram_device"),
		Owner:     mr.Pointer("owner"),
		Block:     mr.Pointer("ram_block"),
	}
	alias := mr.Pointer("alias")
	if mr.Has("nonvolatile") {
		r.Nonvolatile = mr.Bool("nonvolatile")
	}
	if mr.Has("rdm") {
		r.Discards = mr.Pointer("rdm")
	}
	if mr.Pointer("name") != 0 { // a region may have no name
		r.Name = mr.String("name", maxName)
	}
	if err := mr.Err(); err != nil {
		return region{err: err}
	}
	if !printable(r.Name) {
		return region{err: fmt.Errorf("its name %q is not printable", r.Name)}
	}
	if r.RAM && (r.Block == 0 || alias != 0) {
		return region{err: fmt.Errorf("%q is RAM without a RAMBlock of its own", r.Name)}
	}
	return region{Region: r}
}

// checkRegionType holds the layout against what QEMU's own type table says of
// MemoryRegion: its size, and that it inherits from nothing but Object. The
// second finds the offset of TypeImpl.parent_type wrong, which moved twice.
func (vm *VM) checkRegionType(mr *cvalue.Object) error {
	typ := vm.space.At(mr.Addr, "Object").Deref("class", "ObjectClass").Deref("type", "TypeImpl")
	size := typ.Ulong("instance_size")
	parent := typ.Deref("parent_type", "TypeImpl").String("name", maxName)
	if err := typ.Err(); err != nil {
		return err
	}
	if size != mr.Size() {
		return fmt.Errorf("sizeof(MemoryRegion) is %d in the process, %d in the layout", size, mr.Size())
	}
	if parent != "object" {
		return fmt.Errorf("the QOM type of a MemoryRegion inherits from %q, not from \"object\"", parent)
	}
	return nil
}

// isPlainRegion reports whether a QOM type is MemoryRegion itself.
func isPlainRegion(typ string) bool { return typ == "memory-region" || typ == "qemu:memory-region" }

// printable reports whether s could be a name: valid UTF-8 without control
// characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
