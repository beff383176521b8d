package qemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/addr"
)

const (
	maxBlocks = 100_000
	idstrSize = 256 // RAMBlock.idstr, in every release
)

// RAMBlock is a piece of guest memory as QEMU allocated it.
type RAMBlock struct {
	Addr       addr.HVA
	Name       string // idstr: "pc.ram", "/objects/mem0"
	Region     addr.HVA
	Host       addr.HVA // where the process has it mapped
	Offset     uint64   // in QEMU's ram_addr_t space, bytes
	UsedLength uint64   // bytes
	MaxLength  uint64   // bytes
	Flags      uint32
	// VirtioMem is the device that hands the block out to the guest, nil if
	// there is none.
	VirtioMem *VirtioMem
	// Path is the file the block is mapped from, "" for anonymous memory.
	Path   string
	offset uint64 // of the block in the file at Path, bytes
	// What the source holds of UsedLength, in bytes.
	Data, Zero, Absent uint64
	lacks              []lack

	shared bitmap // of a confidential guest: what QEMU can see; no words: unknown
}

// Why says why Absent bytes are not there, each reason once.
func (b *RAMBlock) Why() []string {
	var why []string
	for _, l := range b.lacks {
		if !slices.Contains(why, l.why) {
			why = append(why, l.why)
		}
	}
	return why
}

// RAMBlocks lists all RAM blocks, in the order of QEMU's own list: largest
// first.
func (vm *VM) RAMBlocks() []*RAMBlock { return vm.blocks }

// readBlocks reads the RAM blocks of a FlatView's regions, and with them all
// others. It gives the ranges of RAM their places.
func (vm *VM) readBlocks(view []FlatRange) error {
	var first addr.HVA
	for i, r := range view {
		if !r.Region.RAM {
			continue
		}
		b, err := vm.readBlock(r.Region.Block)
		if err != nil {
			return fmt.Errorf("RAMBlock of region %q: %w", r.Region.Name, err)
		}
		if b.Region != r.Region.Addr {
			return fmt.Errorf("RAMBlock %q is not of region %q, which names it", b.Name, r.Region.Name)
		}
		if end := r.OffsetInRegion + r.Size; end < r.Size || end > b.UsedLength {
			return fmt.Errorf("range at %#x ends at %#x of RAMBlock %q, which uses %#x bytes", uint64(r.Start), end, b.Name, b.UsedLength)
		}
		vm.blockAt[b.Addr] = b
		view[i].Block, view[i].Host = b, b.Host+addr.HVA(r.OffsetInRegion)
		first = b.Addr
	}
	head := addr.HVA(0)
	if g, err := vm.global(symRAMList); err == nil {
		head = vm.space.At(g.Addr, "RAMList").AddrOf("blocks.lh_first")
	} else if first != 0 {
		head = vm.rewindBlocks(first)
	}
	switch {
	case head == 0 && first == 0:
		return nil // a machine without RAM
	case head == 0:
		return errors.New("the list of RAM blocks has no beginning")
	}
	return vm.readBlockList(head)
}

// readBlock reads the RAMBlock at a and checks that it is one.
func (vm *VM) readBlock(a addr.HVA) (*RAMBlock, error) {
	if b, ok := vm.blockAt[a]; ok {
		return b, nil
	}
	o := vm.space.At(a, "RAMBlock")
	b := &RAMBlock{
		Addr:       a,
		Name:       o.CharArray("idstr", idstrSize),
		Region:     o.Pointer("mr"),
		Host:       o.Pointer("host"),
		Offset:     o.Ulong("offset"),
		UsedLength: o.Ulong("used_length"),
		MaxLength:  o.Ulong("max_length"),
		Flags:      o.Uint32("flags"),
	}
	if err := o.Err(); err != nil {
		return nil, err
	}
	switch {
	case !printable(b.Name):
		return nil, fmt.Errorf("idstr %q is not printable", b.Name)
	case b.UsedLength > b.MaxLength || b.UsedLength%1024 != 0:
		return nil, fmt.Errorf("%q: used_length %#x, max_length %#x cannot be", b.Name, b.UsedLength, b.MaxLength)
	case uint64(b.Host)%vm.src.Process.Host().PageSize != 0:
		return nil, fmt.Errorf("%q: host %#x is not at a page", b.Name, uint64(b.Host))
	case b.MaxLength > uint64(addr.MaxFileOff) || b.Host+addr.HVA(b.MaxLength) < b.Host:
		return nil, fmt.Errorf("%q: %#x bytes at host %#x cannot be", b.Name, b.MaxLength, uint64(b.Host))
	}
	if typ, err := vm.typeName(b.Region); err != nil || !strings.Contains(typ, "memory-region") {
		return nil, fmt.Errorf("%q: %#x is not its MemoryRegion", b.Name, uint64(b.Region))
	}
	return b, nil
}

// blockLinks are the QLIST links of the block at a: its own slot in the list,
// the next block, and the slot that leads to it (le_next, le_prev).
func (vm *VM) blockLinks(a addr.HVA) (slot, next, prevSlot addr.HVA, err error) {
	o := vm.space.At(a, "RAMBlock")
	slot = o.AddrOf("next")
	if err = o.Err(); err != nil {
		return
	}
	if next, err = vm.space.Pointer(slot); err != nil {
		return
	}
	prevSlot, err = vm.space.Pointer(slot + addr.HVA(vm.space.PointerSize))
	return
}

// rewindBlocks finds the head of the list that holds the block at a: the
// address of its first pointer, 0 if there is none.
func (vm *VM) rewindBlocks(a addr.HVA) addr.HVA {
	for range maxBlocks {
		slot, _, back, err := vm.blockLinks(a)
		if err != nil || back == 0 {
			return 0
		}
		prev := back - (slot - a)
		if _, err := vm.readBlock(prev); err != nil {
			return back
		}
		if _, next, _, err := vm.blockLinks(prev); err != nil || next != a {
			return back
		}
		a = prev
	}
	return 0
}

// readBlockList reads the list of all blocks. It must reach every block the
// FlatView leads to.
func (vm *VM) readBlockList(head addr.HVA) error {
	reached := map[addr.HVA]bool{}
	a, err := vm.space.Pointer(head)
	if err != nil {
		return fmt.Errorf("list of RAM blocks: %w", err)
	}
	for from := head; a != 0; {
		b, err := vm.readBlock(a)
		if err != nil {
			return fmt.Errorf("RAMBlock %d at %#x: %w", len(reached), uint64(a), err)
		}
		slot, next, back, err := vm.blockLinks(a)
		if err != nil {
			return err
		}
		if back != from || reached[a] || len(reached) > maxBlocks {
			return fmt.Errorf("RAMBlock %q at %#x: the list of RAM blocks is broken", b.Name, uint64(a))
		}
		reached[a] = true
		vm.blockAt[a] = b
		vm.blocks = append(vm.blocks, b)
		from, a = slot, next
	}
	for a, b := range vm.blockAt {
		if !reached[a] {
			return fmt.Errorf("RAMBlock %q is not in the list of RAM blocks", b.Name)
		}
	}
	return nil
}
