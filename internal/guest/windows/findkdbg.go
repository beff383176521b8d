package windows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// More of KDDEBUGGER_DATA64, from Windows' wdbgexts.h.
const (
	kdbgKernBase              = 0x18
	kdbgPsLoadedModuleList    = 0x48
	kdbgPsActiveProcessHead   = 0x50
	kdbgNtBuildLab            = 0x208
	kdbgMmPhysicalMemoryBlock = 0x270
	kdbgProcessTable          = 0x2ae // OffsetEprocessDirectoryTableBase, u16
	kdbgPrcbNumber            = 0x2be // OffsetPrcbNumber, u16
	kdbgPcrPrcb               = 0x2e6 // OffsetPcrContainedPrcb, u16

	minKDBG = 0x290 // bytes; Windows XP's
	maxKDBG = 0x1000
)

// found is a KDBG that is the kernel's.
type found struct {
	addr    uint64
	decoded []byte // nil if memory has it as it is
	how     string // for people
}

// searchKDBG finds the kernel's KDBG: in its image, in its image encoded, or
// anywhere in memory.
func searchKDBG(ctx context.Context, im *image) (found, error) {
	for at := range tags(im.bytes) {
		if im.isKDBG(im.bytes[at:]) {
			return found{addr: im.at(im.base + uint64(at)), how: "in the kernel's image"}, nil
		}
	}
	if f, ok := im.decodeKDBG(); ok {
		return f, nil
	}
	pa, err := im.scanKDBG(ctx)
	if err != nil {
		return found{}, err
	}
	va, err := im.virtual(ctx, pa)
	if err != nil {
		return found{}, err
	}
	return found{addr: va, how: "outside of the kernel's image"}, nil
}

// tags yields where KDBGs may begin in b.
func tags(b []byte) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for from := 0; ; {
			i := bytes.Index(b[from:], []byte(ownerTag))
			if i < 0 {
				return
			}
			i += from
			from = i + 1
			if at := i - kdbgOwnerTag; at >= 0 && at%4 == 0 && !yield(at) {
				return
			}
		}
	}
}

// isKDBG reports whether b begins with the KDBG of this kernel.
func (im *image) isKDBG(b []byte) bool {
	if len(b) < kdbgKernBase+8 || string(b[kdbgOwnerTag:kdbgSize]) != ownerTag {
		return false
	}
	size := number(b[kdbgSize:][:4])
	return size >= minKDBG && size <= maxKDBG && size%8 == 0 && im.at(number(b[kdbgKernBase:][:8])) == im.base
}

// errNoKDBG means that no KDBG of the kernel was found.
var errNoKDBG = errors.New("its debugger data block (KDBG) is neither in its image, as it is or encoded, nor elsewhere in memory")

// scanKDBG finds a KDBG in all of physical memory.
func (im *image) scanKDBG(ctx context.Context) (addr.GPA, error) {
	const block, head = 1 << 20, kdbgKernBase + 8
	buf := make([]byte, block+head)
	for _, r := range im.image.Ranges {
		for _, e := range im.image.Map.Clip(r.Addr, r.Size) {
			if e.Kind != extent.Data {
				continue
			}
			for at := e.Addr; at < e.End(); at += block {
				if err := context.Cause(ctx); err != nil {
					return 0, err
				}
				if im.image.Zero(at, min(block, uint64(e.End()-at))) {
					continue
				}
				n, _ := im.image.ReadAt(buf, int64(at))
				for i := range tags(buf[:n]) {
					if im.isKDBG(buf[i:n]) {
						return at + addr.GPA(i), nil
					}
				}
			}
		}
	}
	return 0, errNoKDBG
}

// budget is memory that can be read a number of times.
type budget struct {
	io.ReaderAt
	left int
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left--; b.left < 0 {
		return 0, arch.ErrTooManyTables
	}
	return b.ReaderAt.ReadAt(p, off)
}

// maxTables bounds the search for where a page is mapped: these map 512 GiB.
const maxTables = 1 << 18

// virtual is where the kernel has a physical address mapped.
func (im *image) virtual(ctx context.Context, pa addr.GPA) (uint64, error) {
	done := errors.New("found")
	var va uint64
	err := im.paging.Walk(ctx, &budget{im.image, maxTables}, func(p arch.Page, _ uint64) error {
		kernels := p.Virt>>63 == 1 || im.word == 4 && p.Virt>>31 == 1
		if !kernels || uint64(pa) < p.Phys || uint64(pa)-p.Phys >= p.Size {
			return nil
		}
		va = p.Virt + uint64(pa) - p.Phys
		return done
	})
	switch {
	case errors.Is(err, done):
		return va, nil
	case context.Cause(ctx) != nil:
		return 0, context.Cause(ctx)
	}
	if err == nil {
		err = errors.New("the kernel has it mapped nowhere")
	}
	return 0, fmt.Errorf("its debugger data block (KDBG) is at the physical address %#x, and its virtual one was not found: %w", uint64(pa), err)
}

// decodedIn is the machine with the KDBG decoded in its memory, and the
// patches that do it.
func (f found) decodedIn(m *guest.Machine, s space) (*guest.Machine, []guest.Patch, error) {
	if f.decoded == nil {
		return m, nil, nil
	}
	patches, err := s.patch(f.decoded, f.addr)
	if err != nil {
		return nil, nil, err
	}
	image, err := m.Image.With(patches)
	if err != nil {
		return nil, nil, err
	}
	decoded := *m
	decoded.Image = image
	return &decoded, patches, nil
}
