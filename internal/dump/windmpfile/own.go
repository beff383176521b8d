package windmpfile

import (
	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// Bytes that whoever makes a dump writes of these.
const (
	ownContext64 = x64Size
	ownContext32 = x86Size + 4 // with the padding that QEMU's has
	ownKDBG      = 0x400       // at most: Windows 10 has 0x380
)

// Own is where the file may have something else than the guest had in memory:
// the processors' contexts, which whoever makes a dump fills in, and KDBG, which
// a guest may have encoded and a debugger cannot do without. It is nil where
// KDBG is not found. A page that is not in im has none of it.
func (f *File) Own(im *guest.Image) []guest.Range {
	if f.Processors > maxProcessors {
		return nil
	}
	k, err := f.debuggerData(im)
	if err != nil {
		return nil
	}
	own := k.pieces(nil, f.KDBG, min(k.size, ownKDBG))
	size := uint64(ownContext32)
	if f.Wide {
		size = ownContext64
	}
	for i := range int(f.Processors) {
		if _, at, err := k.contextOf(i); err == nil {
			own = k.pieces(own, at, size)
		}
	}
	return own
}

// pieces adds where in guest-physical memory the bytes from va on are, as far
// as they are mapped.
func (m *memory) pieces(to []guest.Range, va, size uint64) []guest.Range {
	for size > 0 {
		page, err := m.Translate(m.image, va)
		if err != nil {
			break
		}
		n := min(size, page.Size-(va-page.Virt))
		to = append(to, guest.Range{Addr: addr.GPA(page.At(va)), Size: n})
		va, size = va+n, size-n
	}
	return to
}
