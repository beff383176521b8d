package windows

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

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

// virtual is where the kernel has a physical address mapped.
func (im *image) virtual(ctx context.Context, pa addr.GPA) (uint64, error) {
	done := errors.New("found")
	var va uint64
	err := im.paging.Walk(ctx, im.image, func(p arch.Page, _ uint64) error {
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
	return 0, fmt.Errorf("its debugger data block (KDBG) is at the physical address %#x, which the kernel has mapped nowhere", uint64(pa))
}

// keys are what an encoded KDBG is decoded with: KiWaitNever, KiWaitAlways and
// the address of KdpDataBlockEncoded.
type keys struct{ never, always, flag uint64 }

// decode decodes 8 bytes, as KdCopyDataBlock does (contrib/elf2dmp/main.c, QEMU
// 7.2).
func (k keys) decode(x uint64) uint64 {
	x = bits.RotateLeft64(x^k.never, int(k.never&63))
	return bits.ReverseBytes64(x^k.flag) ^ k.always
}

// decodeKDBG finds a KDBG that the kernel keeps encoded, as those of 64 bits do
// since Windows 8. The keys have no place that is known. But the kernel has a
// function that decodes, and it is a short one: near an instruction that swaps
// the bytes of a register, one that rotates by CL, and operands relative to RIP
// that are the keys and KDBG. Which is which tells the outcome.
func (im *image) decodeKDBG() (found, bool) {
	if im.word != 8 {
		return found{}, false
	}
	const maxSites = 64
	sites := 0
	for at := 1; at+1 < len(im.bytes) && sites < maxSites; at++ {
		// bswap of a register of 64 bits: REX.W, 0f, c8 to cf.
		if im.bytes[at] != 0x0f || im.bytes[at+1]&0xf8 != 0xc8 || im.bytes[at-1]&0xfe != 0x48 {
			continue
		}
		from, to := max(0, at-codeBefore), min(len(im.bytes), at+codeBehind)
		if !rotates(im.bytes[from:to]) {
			continue
		}
		sites++
		if f, ok := im.tryKeys(im.operands(from, to)); ok {
			return f, true
		}
	}
	return found{}, false
}

// The function's other instructions are at most so far from its bswap, bytes.
const codeBefore, codeBehind = 96, 32

// rotates reports whether there is a rol of a register of 64 bits by CL: REX.W,
// d3, c0 to c7.
func rotates(code []byte) bool {
	for i := 1; i+1 < len(code); i++ {
		if code[i] == 0xd3 && code[i+1]&0xf8 == 0xc0 && code[i-1]&0xfe == 0x48 {
			return true
		}
	}
	return false
}

// operands are the RVAs that instructions may have as operands relative to
// RIP: behind a ModR/M byte with mode 0 and register 5, with an operand of a
// byte behind it or with none.
func (im *image) operands(from, to int) []uint64 {
	const most = 24
	var all []uint64
	for i := from; i+5 <= to && len(all) < most; i++ {
		if im.bytes[i]&0xc7 != 0x05 {
			continue
		}
		for _, more := range []int64{0, 1} {
			rva := int64(i) + 5 + more + int64(int32(binary.LittleEndian.Uint32(im.bytes[i+1:])))
			if rva > 0 && rva+8 <= int64(len(im.bytes)) && !slices.Contains(all, uint64(rva)) {
				all = append(all, uint64(rva))
			}
		}
	}
	return all
}

// tryKeys tries each choice of operands for KDBG and the keys.
func (im *image) tryKeys(rvas []uint64) (found, bool) {
	for _, block := range rvas {
		tag := im.uint(block+kdbgOwnerTag, 8)
		for _, never := range rvas {
			for _, always := range rvas {
				for _, flag := range rvas {
					k := keys{im.uint(never, 8), im.uint(always, 8), im.base + flag}
					plain := k.decode(tag)
					if uint32(plain) != binary.LittleEndian.Uint32([]byte(ownerTag)) {
						continue
					}
					if b := im.decoded(block, plain>>32, k); im.isKDBG(b) {
						return found{addr: im.base + block, decoded: b, how: "in the kernel's image, encoded"}, true
					}
				}
			}
		}
	}
	return found{}, false
}

// decoded is an encoded KDBG of a size in the clear, nil if that is none.
func (im *image) decoded(rva, size uint64, k keys) []byte {
	if size < minKDBG || size > maxKDBG || size%8 != 0 {
		return nil
	}
	var b []byte
	for i := uint64(0); i < size; i += 8 {
		b = binary.LittleEndian.AppendUint64(b, k.decode(im.uint(rva+i, 8)))
	}
	return b
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
