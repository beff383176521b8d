package qemu

import (
	"fmt"
	"iter"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
	"guestcore/internal/progress"
)

// memory is guest memory, as a guest.Machine takes it.
type memory struct {
	image   *guest.Image
	other   []guest.Range // as in guest.Machine
	devices []guest.Range // likewise
	missing []guest.Missing
	notes   []string // what is no memory of the guest though it may look so
}

// findMemory finds guest memory and what the source lacks of it, as QEMU's own
// dump has it (guest_phys_blocks_region_add in memory_mapping.c,
// QEMU 6.2): RAM that is no host device's, of virtio-mem what is plugged,
// neighbours joined when they go on in guest-physical and in host-virtual
// space and in one region. Memory that this dump passes over for being
// nonvolatile is there too, as Unlisted.
func (vm *VM) findMemory() (*memory, error) {
	m := &memory{image: &guest.Image{Files: vm.files}}
	im := m.image
	bus := &extent.Map[addr.GPA, addr.HVA]{}
	var last *Region
	for _, r := range vm.view {
		m.other = append(m.other, r.other()...)
		if r.Kind() == "io" {
			m.devices = append(m.devices, guest.Range{Addr: r.Start, Size: r.Size})
		}
		if !r.Region.RAM || r.Region.RAMDevice {
			continue
		}
		for x := range r.pieces(true) {
			if err := bus.Insert(extent.Extent[addr.GPA, addr.HVA]{Addr: x.Addr, Size: x.Size, Off: x.Host}); err != nil {
				return nil, fmt.Errorf("guest memory: %w", err)
			}
			m.missing = r.Block.missing(m.missing, x)
			if n := len(im.Ranges); n > 0 && r.Region == last && join(&im.Ranges[n-1], x) {
				continue
			}
			im.Ranges = append(im.Ranges, x)
			last = r.Region
		}
		if r.Region.Nonvolatile {
			m.notes = append(m.notes, fmt.Sprintf("RAM block %q at %#x-%#x is nonvolatile and left out, as QEMU does: --include-pmem writes it",
				r.Block.Name, uint64(r.Start), uint64(r.End())))
		}
	}
	for _, b := range vm.blocks {
		if d := b.VirtioMem; d != nil && d.Plugged < b.UsedLength {
			m.notes = append(m.notes, fmt.Sprintf("virtio-mem has %s of the %s of RAM block %q plugged: the rest is no memory of the guest, and not in the dump",
				progress.Bytes(int64(d.Plugged)), progress.Bytes(int64(b.UsedLength)), b.Name))
		}
	}
	im.Map = extent.Compose(bus, vm.host)
	return m, nil
}

// other is what a dump leaves out of a range and a read of the guest does not:
// what address_space_is_io (system/physmem.c) takes for memory. Flash is
// assumed to be in the mode for reading, as it is but for moments.
func (r FlatRange) other() []guest.Range {
	switch {
	case r.Region.RAMDevice || r.Region.ROMDevice:
		return []guest.Range{{Addr: r.Start, Size: r.Size, ROM: r.ReadOnly || r.Region.ReadOnly}}
	case r.Region.RAM:
		return slices.Collect(r.pieces(false)) // QEMU has them mapped all the same
	}
	return nil
}

// pieces are the parts of a range of RAM that the guest has, or has not.
func (r FlatRange) pieces(has bool) iter.Seq[guest.Range] {
	x := guest.Range{
		Addr: r.Start, Size: r.Size, Host: r.Host,
		ROM:      r.ReadOnly || r.Region.ReadOnly,
		PMEM:     r.Nonvolatile || r.Region.Nonvolatile,
		Unlisted: r.Region.Nonvolatile, // an NVDIMM only shows a part of one that is not, and QEMU dumps it
	}
	d := r.Block.VirtioMem
	if d == nil {
		return func(yield func(guest.Range) bool) { _ = has && yield(x) }
	}
	return func(yield func(guest.Range) bool) {
		for p := range d.plugged.runs(r.OffsetInRegion, r.OffsetInRegion+r.Size, has) {
			part, at := x, p.start-r.OffsetInRegion
			part.Addr, part.Host, part.Size = x.Addr+addr.GPA(at), x.Host+addr.HVA(at), p.end-p.start
			if !yield(part) {
				return
			}
		}
	}
}

// join makes next a part of r, if it goes on where r ends.
func join(r *guest.Range, next guest.Range) bool {
	if r.End() != next.Addr || r.Host+addr.HVA(r.Size) != next.Host {
		return false
	}
	r.Size += next.Size
	r.ROM, r.PMEM = r.ROM && next.ROM, r.PMEM && next.PMEM
	return true
}

// missing adds to a list what the source lacks of the block where a range of
// guest memory shows it.
func (b *RAMBlock) missing(to []guest.Missing, x guest.Range) []guest.Missing {
	for _, l := range b.lacks {
		start, end := max(l.start, x.Host), min(l.end, x.Host+addr.HVA(x.Size))
		if start >= end {
			continue
		}
		m := guest.Missing{
			Addr:   x.Addr + addr.GPA(start-x.Host),
			Size:   uint64(end - start),
			Reason: fmt.Sprintf("RAM block %q: %s", b.Name, l.why),
		}
		if x.PMEM {
			m.Reason += ", or leave nonvolatile memory out with --exclude-pmem"
		}
		if n := len(to); n > 0 && to[n-1].Reason == m.Reason && to[n-1].Addr+addr.GPA(to[n-1].Size) == m.Addr {
			to[n-1].Size += m.Size
			continue
		}
		to = append(to, m)
	}
	return to
}
