package linux

import (
	"bytes"
	"errors"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// witness is the symbol that every note has, and that leads to what it says
// itself: the release, which init_uts_ns repeats (init/version.c).
const witness = "init_uts_ns"

// struct new_utsname is six names of 65 bytes: system, node, release, ...
const (
	utsName    = 65
	utsSystem  = 0 * utsName
	utsRelease = 2 * utsName
)

// uts are the addresses where init_uts_ns may have its names. Kernels before
// 5.11 do not say; theirs begins with a reference count.
func (n *note) uts() []uint64 {
	at, _ := n.info.Symbol(witness)
	if off, ok := n.info.Offset("uts_namespace.name"); ok {
		return []uint64{at + off}
	}
	return []uint64{at + 4, at}
}

// errOther means that memory is there and says something else.
var errOther = errors.New("no names of such a kernel are there")

// says reports whether names of the note's kernel are where read, which reads
// memory from an address of the kernel on, finds any.
func (n *note) says(read func(p []byte, va uint64) error) (va uint64, err error) {
	for _, va := range n.uts() {
		p := make([]byte, utsRelease+utsName)
		if err = read(p, va); err != nil {
			continue
		}
		if cString(p[utsSystem:]) == "Linux" && cString(p[utsRelease:][:utsName]) == n.info.Release() {
			return va, nil
		}
		err = errOther
	}
	return 0, err
}

func cString(p []byte) string {
	s, _, _ := bytes.Cut(p, []byte{0})
	return string(s)
}

// present reports whether memory has the kernel where the note says it lies.
func (n *note) present(m *guest.Machine) bool {
	_, err := n.says(func(p []byte, va uint64) error {
		pa, ok := n.info.phys(m.Arch, va)
		if !ok {
			return errors.New("the note does not say where")
		}
		_, err := m.Image.ReadAt(p, int64(pa))
		return err
	})
	return err == nil
}

// seen is what a vCPU has of the kernel that a note tells of.
type seen struct {
	cpu  int
	va   uint64 // of init_uts_ns's names
	phys uint64 // of the same
}

// ask looks for the kernel of a note in the virtual memory of each vCPU.
// asked is how many of them can translate addresses.
func (n *note) ask(m *guest.Machine) (found []seen, asked int) {
	for _, cpu := range m.CPUs {
		tables := kernelPaging(cpu.State)
		if len(tables) == 0 || cpu.NoPaging {
			continue
		}
		asked++
		for _, t := range tables {
			va, err := n.says(func(p []byte, va uint64) error {
				_, err := m.Image.ReadVirtual(t, p, va)
				return err
			})
			if err != nil {
				continue
			}
			if page, err := t.Translate(m.Image, va); err == nil {
				found = append(found, seen{cpu.Index, va, page.At(va)})
				break
			}
		}
	}
	return found, asked
}

// kernelPaging are the page tables that may show a vCPU's kernel: those in use
// and, where it may be running a program, the kernel's own.
func kernelPaging(s arch.State) []arch.Paging {
	switch s := s.(type) {
	case *arch.X86:
		p := s.X86Paging()
		if !p.LongMode {
			return []arch.Paging{p}
		}
		// Page table isolation keeps a program's tables in the page behind the
		// kernel's (arch/x86/include/asm/pgtable.h, 4.15).
		kernel := p
		kernel.CR3 &^= 1 << 12
		return []arch.Paging{p, kernel}
	case *arch.S390X:
		// The kernel's is the primary space; older ones had the home space for it.
		return []arch.Paging{arch.S390XPaging{ASCE: s.Control[1]}, arch.S390XPaging{ASCE: s.Control[13]}}
	case *arch.PPC64: // real mode too is for moments only
		if p, ok := s.Paging().(arch.PPC64Paging); ok {
			p.Real = false
			return []arch.Paging{p}
		}
	case interface{ Paging() arch.Paging }:
		if p := s.Paging(); p != nil {
			return []arch.Paging{p}
		}
	}
	return nil
}
