package dumpfile

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump/vboxfile"
	"guestcore/internal/dump/vmcorefile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// readVBox takes the registers and the devices of an ELF dump in VirtualBox's
// form, and reports whether it is one.
func (f *File) readVBox(v *vmcorefile.File) bool {
	core, err := vboxfile.Parse(v.Notes, v.Machine != elf.EM_386)
	switch {
	case errors.Is(err, vboxfile.ErrFormat):
		return false
	case err != nil:
		f.Problems = append(f.Problems, fmt.Sprintf("the notes of VirtualBox are damaged: %v", err))
		return false
	}
	f.Format = fmt.Sprintf("VirtualBox VMCore %#x, %s", core.Version, machineName(v.Class, v.Order, v.Machine))
	if p := core.Product(); p != "" {
		f.Format += ", of VirtualBox " + p
	}
	labels := f.cpuLabels()
	for i, c := range core.CPUs {
		f.CPUs = append(f.CPUs, vboxCPU(i, c, labels))
	}
	v.Loads = slices.DeleteFunc(v.Loads, func(s vmcorefile.Segment) bool {
		// One that cannot be stays, for the reader of memory to refuse.
		if s.Filesz > 0 || s.Memsz == 0 || s.Memsz > math.MaxInt64 || s.Paddr > math.MaxInt64-s.Memsz {
			return false
		}
		f.Devices = append(f.Devices, guest.Range{Addr: addr.GPA(s.Paddr), Size: s.Memsz})
		return true
	})
	slices.SortStableFunc(f.Devices, func(a, b guest.Range) int { return cmp.Compare(a.Addr, b.Addr) })
	return true
}

// vboxCPU is the processor that is number i in the file, as far as the labels
// let its registers be relied on.
func vboxCPU(i int, c vboxfile.CPU, labels []cpuLabel) guest.CPU {
	cpu := guest.CPU{Index: i, Trust: guest.Valid}
	var unknown []string
	if i < len(labels) {
		cpu.Index, cpu.Trust, cpu.Reason, unknown = labels[i].index, labels[i].trust, labels[i].reason, labels[i].unknown
	}
	switch {
	case c.Err != nil:
		cpu.Trust, cpu.Reason = guest.Unknown, c.Err.Error()
	case slices.Contains(unknown, "all") && cpu.Trust != guest.Unknown:
		cpu.Trust, cpu.Reason = guest.Unknown, fmt.Sprintf("they were %s, and are not in the file", cpu.Label())
	case cpu.Trust != guest.Unknown:
		forget(c.State, unknown)
		cpu.State = c.State
	}
	return cpu
}

// forget makes registers unknown that VirtualBox's form has zeros for.
func forget(s *arch.X86, names []string) {
	for _, name := range names {
		switch name {
		case "dr":
			s.DR = nil
		case "fpu":
			s.FPU = nil
		case "syscall":
			s.Syscall = nil
		case "sysenter":
			s.Sysenter = nil
		case "pat":
			s.PAT = nil
		case "tsc_aux":
			s.TSCAux = nil
		case "xcr0":
			s.XCR0 = nil
		case "apic_base":
			s.APICBase = nil
		}
	}
}

// omit is memory without what is labelled absent: there are zeros in the file
// for it. The labels are put in the order of their addresses.
func omit(m *extent.Map[addr.GPA, addr.FileOff], absent []guest.Missing) (*extent.Map[addr.GPA, addr.FileOff], error) {
	slices.SortFunc(absent, func(a, b guest.Missing) int { return cmp.Compare(a.Addr, b.Addr) })
	out := &extent.Map[addr.GPA, addr.FileOff]{}
	left := absent // those that end behind what is done with
	for _, e := range m.Extents() {
		for at := e.Addr; at < e.End(); {
			for len(left) > 0 && behind(left[0]) <= at {
				left = left[1:]
			}
			p := e
			p.Addr, p.Size = at, uint64(e.End()-at)
			if e.Kind == extent.Data {
				p.Off += addr.FileOff(at - e.Addr)
			}
			switch {
			case len(left) > 0 && left[0].Addr <= at:
				p.Kind, p.Size = extent.Omitted, min(p.Size, uint64(behind(left[0])-at))
			case len(left) > 0:
				p.Size = min(p.Size, uint64(left[0].Addr-at))
			}
			if err := out.Insert(p); err != nil {
				return nil, fmt.Errorf("absent guest memory: %w", err)
			}
			at = p.End()
		}
	}
	return out, nil
}

// reasonOf is why memory is absent, by the one of some labels in the order of
// their addresses that has all of it.
func reasonOf(x guest.Missing, labels []guest.Missing) string {
	i, ok := slices.BinarySearchFunc(labels, x.Addr, func(l guest.Missing, a addr.GPA) int { return cmp.Compare(l.Addr, a) })
	if !ok {
		i-- // the last that begins before x
	}
	if i < 0 || behind(labels[i]) < behind(x) {
		return leftOut
	}
	return labels[i].Reason
}

// behind is the address behind the last byte.
func behind(x guest.Missing) addr.GPA { return x.Addr + addr.GPA(x.Size) }
