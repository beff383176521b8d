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
