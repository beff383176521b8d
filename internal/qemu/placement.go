package qemu

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

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
			b.Path, b.offset = m.Path, m.Offset+uint64(b.Host-m.Start)
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

// lack is memory of a block that its source does not hold.
type lack struct {
	start, end addr.HVA
	why        string
}

// placeBlock settles what the source does not hold of a block.
func (vm *VM) placeBlock(b *RAMBlock, file *os.File) error {
	number := len(vm.files)
	if file != nil {
		st, err := file.Stat()
		if err != nil {
			return fmt.Errorf("--ram %s: %w", b.Name, err)
		}
		if size := uint64(st.Size()); size < b.UsedLength || size-b.UsedLength < b.offset {
			return fmt.Errorf("--ram %s: %s has %#x bytes, the block %#x from offset %#x on: name the file that QEMU mapped for it",
				b.Name, file.Name(), st.Size(), b.UsedLength, b.offset)
		}
		vm.files = append(vm.files, file)
	}
	whyOmitted := sync.OnceValues(func() (extent.Kind, string) { return vm.whyOmitted(b) })
	settle := func(e hostExtent, mapped bool) error {
		was, why := e.Kind, ""
		switch {
		case e.Kind.Present():
		case file != nil:
			e.Kind, e.Off = extent.Data, addr.InFile(number, int64(b.offset)+int64(e.Addr-b.Host))
		case !mapped:
			why = vm.whyUnmapped(b)
		case e.Kind == extent.Omitted:
			e.Kind, why = whyOmitted()
		default:
			why = "the core file ends before it"
		}
		switch e.Kind {
		case extent.Data:
			b.Data += e.Size
		case extent.Zero:
			b.Zero += e.Size
		default:
			b.Absent += e.Size
			b.lacks = append(b.lacks, lack{e.Addr, e.End(), why})
		}
		if e.Kind == was {
			return nil
		}
		return vm.host.Insert(e)
	}
	maps := vm.src.Process.Mappings()
	if b.shared.words == nil {
		return wholly(maps, b.Host, b.UsedLength, settle)
	}
	for p := range b.shared.runs(0, b.UsedLength, true) {
		if err := wholly(maps, b.Host+addr.HVA(p.start), p.end-p.start, settle); err != nil {
			return err
		}
	}
	return vm.hidePrivate(b)
}

// hidePrivate takes from the process what has nothing to do with the guest's
// memory: that is in the block's guest_memfd.
func (vm *VM) hidePrivate(b *RAMBlock) error {
	for p := range b.shared.runs(0, b.UsedLength, false) {
		e := hostExtent{Addr: b.Host + addr.HVA(p.start), Size: p.end - p.start, Kind: extent.Omitted}
		b.Absent += e.Size
		b.lacks = append(b.lacks, lack{e.Addr, e.End(), vm.privateMemory()})
		if err := vm.host.Insert(e); err != nil {
			return err
		}
	}
	return nil
}

type hostExtent = extent.Extent[addr.HVA, addr.FileOff]

// deleted is behind the path of a mapping whose file has no name any more.
const deleted = " (deleted)"

// wholly calls f for each extent of [start, start+size), in order, and for
// what lies between them as Omitted and not mapped.
func wholly(m *extent.Map[addr.HVA, addr.FileOff], start addr.HVA, size uint64, f func(e hostExtent, mapped bool) error) error {
	at := start
	unmapped := func(end addr.HVA) error {
		if end == at {
			return nil
		}
		return f(hostExtent{Addr: at, Size: uint64(end - at), Kind: extent.Omitted}, false)
	}
	for _, e := range m.Clip(start, size) {
		if err := unmapped(e.Addr); err != nil {
			return err
		}
		if err := f(e, true); err != nil {
			return err
		}
		at = e.End()
	}
	return unmapped(start + addr.HVA(size))
}

// whyOmitted decides what memory of a block is that the kernel left out of the
// core: zero, as anonymous memory is that nobody ever wrote to, or unknown,
// with the reason.
func (vm *VM) whyOmitted(b *RAMBlock) (extent.Kind, string) {
	switch {
	case b.Flags&ramProtected != 0:
		return extent.Omitted, "it is memory of SGX enclaves, which nobody outside of them can read"
	case strings.HasSuffix(b.Path, deleted):
		return extent.Omitted, fmt.Sprintf("it is mapped from %s and not in the core: shared memory and huge pages are with bits 1, 5 and 6 of "+
			"QEMU's /proc/PID/coredump_filter; set them the next time", b.Path)
	case b.Path != "":
		return extent.Omitted, fmt.Sprintf("it is mapped from %s and not in the core: give its contents with --ram %s=%s", b.Path, b.Name, b.Path)
	}
	switch why, err := vm.leftOut(b); {
	case err != nil:
		return extent.Omitted, fmt.Sprintf("it is not in the core; whether it was never touched or left out on purpose is not known (%v)", err)
	case why != "":
		return extent.Omitted, why
	}
	return extent.Zero, ""
}

// whyUnmapped says why there is no mapping at all where a block is. Into a core
// the kernel writes one for all memory of a process, gdb's gcore leaves out what
// QEMU did not want there.
func (vm *VM) whyUnmapped(b *RAMBlock) string {
	if vm.src.Live {
		return "the process has nothing mapped at its address: QEMU unmapped it, or its own record of it is damaged"
	}
	if why, err := vm.leftOut(b); err == nil && why != "" {
		return why
	}
	return "the core has no mapping at its address: it was left out, or QEMU's own record of it is damaged"
}

// leftOut says why QEMU did not want the block in its core: by the setting of
// the machine (qemu_ram_setup_dump) or of the memory backend that owns the
// block (host_memory_backend_memory_complete). "" is that it did.
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
		return "-machine dump-guest-core=off kept it out of the core: start QEMU with dump-guest-core=on the next time", nil
	}
	reg := vm.readRegion(vm.space.At(b.Region, "MemoryRegion"))
	if reg.err != nil || reg.Owner == 0 {
		return "", reg.err
	}
	if _, err := vm.typeName(reg.Owner); err != nil {
		return "", fmt.Errorf("owner of region %q: %w", reg.Name, err)
	}
	if _, ok := vm.isA(reg.Owner, "memory-backend"); !ok {
		return "", nil
	}
	if dumped, err = vm.backendDumped(reg.Owner, b); err == nil && !dumped {
		why = "dump=off of its memory backend kept it out of the core: start QEMU with dump=on the next time"
	}
	return why, err
}

// builtinBackends are the layouts of HostMemoryBackend (include/sysemu/hostmem.h,
// include/system/hostmem.h) on LP64 hosts, offsets of the 64-bit size and of
// the bool dump: right behind the Object, and as it was before 4.0 with a
// char *id between.
var builtinBackends = []struct{ size, dump addr.HVA }{{40, 49}, {48, 57}}

// backendDumped reads HostMemoryBackend.dump of the backend that owns a block.
// A built-in layout is taken only if the size next to it is the block's.
func (vm *VM) backendDumped(a addr.HVA, b *RAMBlock) (bool, error) {
	if !vm.layout.Table {
		o := vm.space.At(a, "HostMemoryBackend")
		return o.Bool("dump"), o.Err()
	}
	for _, l := range builtinBackends {
		size, err := vm.space.Pointer(a + l.size)
		if err != nil {
			return false, fmt.Errorf("its memory backend: %w", err)
		}
		if uint64(size) != b.UsedLength && uint64(size) != b.MaxLength {
			continue
		}
		var dump [1]byte
		if _, err := vm.space.Mem.ReadAt(dump[:], int64(a+l.dump)); err != nil {
			return false, fmt.Errorf("its memory backend: %w", err)
		}
		if dump[0] <= 1 {
			return dump[0] == 1, nil
		}
	}
	return false, errors.New("its memory backend is not laid out as in any known QEMU")
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
