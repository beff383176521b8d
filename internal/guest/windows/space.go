package windows

import (
	"errors"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// space is virtual memory as the guest's kernel has it.
type space struct {
	image  *guest.Image
	paging arch.X86Paging
	word   int // bytes of a pointer
}

// spaces are the ways in which the kernel's virtual memory may be mapped, the
// likeliest first: as CPU 0 has it but with the tables of the header, then as
// the header's kind of guest maps memory. That is for registers that are not
// to be relied on, and for a CPU 0 that ran something else, as firmware does.
func spaces(m *guest.Machine, h Header, stale bool) ([]space, error) {
	const pg, pse, pae, la57 = 1 << 31, 1 << 4, 1 << 5, 1 << 12
	var modes []arch.X86Paging
	if len(m.CPUs) > 0 && m.CPUs[0].Usable(stale) {
		s, ok := m.CPUs[0].State.(*arch.X86)
		if !ok {
			return nil, errors.New("the guest's processors are not x86, and Windows crash dumps are: use the elf format")
		}
		modes = append(modes, s.X86Paging())
	}
	switch {
	case h.Wide():
		modes = append(modes, arch.X86Paging{CR0: pg, CR4: pae, LongMode: true}, arch.X86Paging{CR0: pg, CR4: pae | la57, LongMode: true})
	case h.Uint(PaeEnabled) == 1:
		modes = append(modes, arch.X86Paging{CR0: pg, CR4: pae})
	default:
		modes = append(modes, arch.X86Paging{CR0: pg, CR4: pse}, arch.X86Paging{CR0: pg, CR4: pae})
	}
	var all []space
	for _, p := range modes {
		p.CR3 = h.Uint(DirectoryTableBase)
		all = append(all, space{image: m.Image, paging: p, word: h.word()})
	}
	return all, nil
}

// at is an address of the guest's width.
func (s space) at(va uint64) uint64 {
	if s.word == 4 {
		return va & 0xffff_ffff
	}
	return va
}

// mayBeImage reports whether what is at an address begins as an executable does.
func (s space) mayBeImage(va uint64) (bool, error) {
	magic, err := s.number(va, 2)
	return err == nil && magic == 'M'|'Z'<<8, err
}

// read reads all of p.
func (s space) read(p []byte, va uint64) error {
	_, err := s.image.ReadVirtual(s.paging, p, s.at(va))
	return err
}

// number reads a number of n bytes, at most eight.
func (s space) number(va uint64, n int) (uint64, error) {
	p := make([]byte, n)
	if err := s.read(p, va); err != nil {
		return 0, err
	}
	return number(p), nil
}

// pointer reads a pointer.
func (s space) pointer(va uint64) (uint64, error) { return s.number(va, s.word) }

// patch puts bytes at a virtual address, where all that they replace must be
// there to be read: a patch for each page.
func (s space) patch(p []byte, va uint64) ([]guest.Patch, error) {
	if err := s.read(make([]byte, len(p)), va); err != nil {
		return nil, err
	}
	var all []guest.Patch
	for len(p) > 0 {
		page, err := s.paging.Translate(s.image, s.at(va))
		if err != nil {
			return nil, fmt.Errorf("virtual address %#x: %w", s.at(va), err)
		}
		n := min(uint64(len(p)), page.Size-(s.at(va)-page.Virt))
		all = append(all, guest.Patch{Addr: addr.GPA(page.At(s.at(va))), Bytes: p[:n:n]})
		p, va = p[n:], va+n
	}
	return all, nil
}
