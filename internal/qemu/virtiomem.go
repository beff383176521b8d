package qemu

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
)

// VirtioMem is a virtio-mem device: it owns a RAM block and hands it out to
// the guest block by block. What is not plugged is not the guest's memory,
// though QEMU may have it mapped. All numbers are bytes.
type VirtioMem struct {
	BlockSize uint64
	Plugged   uint64 // what the guest has
	Requested uint64 // what the host wants it to have
	Usable    uint64 // up to where blocks may be plugged now

	plugged bitmap
}

// builtinVirtioMem are the layouts of VirtIOMEM (include/hw/virtio/virtio-mem.h)
// on LP64 hosts, in bytes from the end of the VirtIODevice that it begins with,
// whose size QOM knows: by the first release, newest first.
const builtinVirtioMem = `{
"8.2.0": {"VirtIOMEM": {"size": null, "fields": {"bitmap_size": 8, "bitmap": 16, "memdev": 56,
	"addr": 72, "usable_region_size": 80, "size": 88, "requested_size": 96, "block_size": 104}}},
"6.1.0": {"VirtIOMEM": {"size": null, "fields": {"bitmap_size": 8, "bitmap": 16, "memdev": 24,
	"addr": 40, "usable_region_size": 48, "size": 56, "requested_size": 64, "block_size": 72}}}}`

var parseBuiltinVirtioMem = sync.OnceValues(func() (map[string]*ctype.Table, error) {
	return ctype.ParseTable(strings.NewReader(builtinVirtioMem))
})

// readVirtioMem reads the device at a, which hands out the block that a range
// shows.
func (vm *VM) readVirtioMem(a addr.HVA, r FlatRange) (*VirtioMem, error) {
	if !vm.layout.Table {
		return vm.readVirtioMemAs(vm.space.At(a, "VirtIOMEM"), r)
	}
	own, ok := vm.isA(a, "virtio-device")
	if !ok {
		return nil, errors.New("its virtio-mem device is no virtio-device")
	}
	tables, err := parseBuiltinVirtioMem()
	if err != nil {
		return nil, fmt.Errorf("built-in layouts: %w", err)
	}
	var failed []error
	for _, version := range []string{"8.2.0", "6.1.0"} {
		space := *vm.space
		space.Layouts = tables[version]
		d, err := vm.readVirtioMemAs(space.At(a+addr.HVA(own), "VirtIOMEM"), r)
		if err == nil {
			return d, nil
		}
		failed = append(failed, err)
	}
	return nil, fmt.Errorf("its virtio-mem device is not laid out as in any known QEMU: %v; %v", failed[0], failed[1])
}

// readVirtioMemAs reads a device through one layout. It fails unless all that
// must hold does.
func (vm *VM) readVirtioMemAs(o *cvalue.Object, r FlatRange) (*VirtioMem, error) {
	d := &VirtioMem{
		BlockSize: o.Uint64("block_size"),
		Plugged:   o.Uint64("size"),
		Requested: o.Uint64("requested_size"),
		Usable:    o.Uint64("usable_region_size"),
	}
	n, at := uint64(o.Uint32("bitmap_size")), o.Pointer("bitmap")
	start, backend := addr.GPA(o.Uint64("addr")), o.Pointer("memdev")
	if err := o.Err(); err != nil {
		return nil, err
	}
	page, size := vm.src.Process.Host().PageSize, r.Block.UsedLength
	switch {
	case backend != r.Region.Owner:
		return nil, fmt.Errorf("memdev %#x is not the backend that owns the block", uint64(backend))
	case start+addr.GPA(r.OffsetInRegion) != r.Start:
		return nil, fmt.Errorf("addr %#x is not where the block begins", uint64(start))
	case d.BlockSize < page || d.BlockSize&(d.BlockSize-1) != 0 || n != size/d.BlockSize:
		return nil, fmt.Errorf("block_size %#x and bitmap_size %d of %#x bytes cannot be", d.BlockSize, n, size)
	case d.Usable > size || d.Plugged > size || d.Requested > size:
		return nil, fmt.Errorf("size %#x, requested_size %#x, usable_region_size %#x of %#x bytes cannot be", d.Plugged, d.Requested, d.Usable, size)
	}
	var err error
	if d.plugged, err = vm.readBitmap(at, n, d.BlockSize); err != nil {
		return nil, err
	}
	if plugged := d.plugged.count() * d.BlockSize; plugged != d.Plugged {
		return nil, fmt.Errorf("size is %#x, the bitmap has %#x bytes", d.Plugged, plugged)
	}
	return d, nil
}
