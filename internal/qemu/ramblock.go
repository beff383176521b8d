package qemu

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
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
	// Path is the file the block is mapped from, "" for anonymous memory.
	Path string
	// What the source holds of UsedLength, in bytes.
	Data, Zero, Absent uint64
	Why                string // why Absent bytes are not there, "" if none are
}

// RAMBlocks lists all RAM blocks, in the order of QEMU's own list: largest
// first.
func (vm *VM) RAMBlocks() []*RAMBlock { return vm.blocks }

// readBlocks reads the RAM blocks of a FlatView's regions, and with them all
// others.
func (vm *VM) readBlocks(view []FlatRange) error {
	var first addr.HVA
	for _, r := range view {
		if !r.Region.RAM || r.Region.Alias != 0 {
			continue
		}
		b, err := vm.readBlock(r.Region.Block)
		if err != nil {
			return fmt.Errorf("RAMBlock of region %q: %w", r.Region.Name, err)
		}
		if b.Region != r.Region.Addr {
			return fmt.Errorf("RAMBlock %q is not of region %q, which names it", b.Name, r.Region.Name)
		}
		if end := r.OffsetInRegion + r.Size; end < r.Size || end > b.MaxLength {
			return fmt.Errorf("range at %#x ends at %#x of RAMBlock %q, which has %#x bytes", uint64(r.Start), end, b.Name, b.MaxLength)
		}
		vm.blockAt[b.Addr] = b
		first = b.Addr
	}
	head := addr.HVA(0)
	if g, err := vm.global(symRAMList); err == nil {
		head = vm.space.At(g.Addr, "RAMList").AddrOf("blocks.lh_first")
	} else if first != 0 {
		head = vm.rewindBlocks(first)
	}
	if head == 0 {
		return nil // a machine without RAM
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
	}
	if typ, err := vm.typeName(b.Region); err != nil || !strings.Contains(typ, "memory-region") {
		return nil, fmt.Errorf("%q: %#x is not its MemoryRegion", b.Name, uint64(b.Region))
	}
	if _, ok := vm.src.Process.Mappings().Find(b.Host); !ok && b.UsedLength > 0 {
		return nil, fmt.Errorf("%q: host %#x is not mapped", b.Name, uint64(b.Host))
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
// address of its first pointer.
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

// placeBlocks finds out where the bytes of each block are: in the process's
// own source, in a file given for it, nowhere because they are zero, or
// nowhere at all.
func (vm *VM) placeBlocks() error {
	vm.host = vm.src.Process.Mappings().Clone()
	vm.files = slices.Clone(vm.src.Process.Backing())
	given := map[string]bool{}
	for _, b := range vm.blocks {
		if b.UsedLength == 0 {
			continue
		}
		if m, ok := vm.fileAt(b.Host); ok {
			b.Path = m.Path
		}
		name, file := vm.givenFile(b)
		if file != nil {
			given[name] = true
		}
		if err := vm.placeBlock(b, file); err != nil {
			return err
		}
	}
	for name := range vm.src.RAM {
		if !given[name] {
			return fmt.Errorf("--ram %s: no such RAM block; there are %s", name, strings.Join(vm.blockNames(), ", "))
		}
	}
	return nil
}

// placeBlock settles what the source does not hold of a block.
func (vm *VM) placeBlock(b *RAMBlock, file *os.File) error {
	number := len(vm.files)
	if file != nil {
		st, err := file.Stat()
		if err != nil {
			return fmt.Errorf("--ram %s: %w", b.Name, err)
		}
		if uint64(st.Size()) < b.UsedLength {
			return fmt.Errorf("--ram %s: %s has %#x bytes, the block %#x", b.Name, file.Name(), st.Size(), b.UsedLength)
		}
		vm.files = append(vm.files, file)
	}
	at := b.Host
	settle := func(start addr.HVA, size uint64, kind extent.Kind) error {
		e := extent.Extent[addr.HVA, addr.FileOff]{Addr: start, Size: size, Kind: kind}
		switch {
		case kind.Present():
		case file != nil:
			e.Kind, e.Off = extent.Data, addr.InFile(number, int64(start-b.Host))
		case kind == extent.Omitted:
			e.Kind, b.Why = vm.whyOmitted(b)
		default:
			b.Why = "the core file ends before it"
		}
		switch e.Kind {
		case extent.Data:
			b.Data += size
		case extent.Zero:
			b.Zero += size
		default:
			b.Absent += size
		}
		if e.Kind == kind {
			return nil
		}
		return vm.host.Insert(e)
	}
	for _, e := range append(vm.src.Process.Mappings().Clip(b.Host, b.UsedLength),
		extent.Extent[addr.HVA, addr.FileOff]{Addr: b.Host + addr.HVA(b.UsedLength)}) {
		if e.Addr > at {
			if err := settle(at, uint64(e.Addr-at), extent.Omitted); err != nil {
				return err
			}
		}
		if e.Size > 0 {
			if err := settle(e.Addr, e.Size, e.Kind); err != nil {
				return err
			}
		}
		at = e.End()
	}
	return nil
}

// whyOmitted decides what memory of a block is that the kernel left out of the
// core: zero, as anonymous memory is that nobody ever wrote to, or unknown,
// with the reason.
func (vm *VM) whyOmitted(b *RAMBlock) (extent.Kind, string) {
	if b.Path != "" {
		return extent.Omitted, fmt.Sprintf("it is mapped from %s and not in the core: give its contents with --ram %s=%s", b.Path, b.Name, givable(b.Path))
	}
	switch why, err := vm.leftOut(b); {
	case err != nil:
		return extent.Omitted, fmt.Sprintf("it is not in the core; whether it was never touched or left out on purpose is not known (%v)", err)
	case why != "":
		return extent.Omitted, why
	}
	return extent.Zero, ""
}

// leftOut says why QEMU did not want the block in its core: by the setting of
// the machine or of the memory backend that owns the block. "" is that it did.
func (vm *VM) leftOut(b *RAMBlock) (why string, err error) {
	m, err := vm.machine()
	if err != nil {
		return "", err
	}
	dumped, err := m.dumpGuestCore()
	if err != nil {
		return "", err
	}
	if !dumped {
		return "QEMU ran with dump-guest-core=off, so that the core has no guest memory: start QEMU with -machine dump-guest-core=on to have it the next time", nil
	}
	reg := vm.readRegion(vm.space.At(b.Region, "MemoryRegion"))
	if reg.err != nil || reg.Owner == 0 {
		return "", reg.err
	}
	if _, ok := vm.isA(reg.Owner, "memory-backend"); !ok {
		return "", nil
	}
	backend := vm.space.At(reg.Owner, "HostMemoryBackend")
	size, dumped := backend.Uint64("size"), backend.Bool("dump")
	switch err := backend.Err(); {
	case err != nil:
		return "", err
	case vm.layout.Table && size != b.MaxLength && size != b.UsedLength:
		return "", errors.New("its memory backend is not laid out as in any known QEMU")
	case !dumped:
		return "its memory backend has dump=off, so that the core is without it: set dump=on to have it the next time", nil
	}
	return "", nil
}

// givenFile is the file the user gave for a block: by its whole name or, for
// one like /objects/mem0, by the last part.
func (vm *VM) givenFile(b *RAMBlock) (string, *os.File) {
	for _, name := range []string{b.Name, path.Base(b.Name)} {
		if f := vm.src.RAM[name]; f != nil {
			return name, f
		}
	}
	return "", nil
}

func (vm *VM) blockNames() []string {
	var names []string
	for _, b := range vm.blocks {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

// givable is the path of a mapped file if it is still there to be given, else
// a word for one.
func givable(path string) string {
	if strings.HasSuffix(path, " (deleted)") {
		return "FILE"
	}
	return path
}
