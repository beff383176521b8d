package core

import (
	"cmp"
	"debug/elf"
	"fmt"
	"log/slog"
	"slices"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
)

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }

// mapSegments builds regions and mappings out of the PT_LOAD segments:
//
//	p_vaddr           + p_filesz              + p_memsz
//	|  Data up to EOF, |  Omitted by the       |
//	|  Lost behind it  |  kernel               |
//
// Kernels write segments in order and apart. Where two overlap, the one that
// begins first keeps its bytes.
func (p *Process) mapSegments(progs []prog) error {
	var loads []prog
	for i, s := range progs {
		if s.typ != elf.PT_LOAD || s.memsz == 0 && s.filesz == 0 {
			continue
		}
		s.memsz = max(s.memsz, s.filesz)
		at := int64(p.head.phoff + uint64(i)*p.head.progSize())
		if s.vaddr+s.memsz <= s.vaddr {
			return &FormatError{at, fmt.Sprintf("segment %d (%#x bytes at %#x) passes the end of the address space", i, s.memsz, s.vaddr)}
		}
		if s.off >= uint64(addr.MaxFileOff) || s.filesz >= uint64(addr.MaxFileOff)-s.off {
			return &FormatError{at, fmt.Sprintf("segment %d (%#x bytes at offset %#x) is bigger than any file", i, s.filesz, s.off)}
		}
		loads = append(loads, s)
		if s.filesz > 0 {
			p.want = max(p.want, int64(s.off+s.filesz))
		}
	}
	slices.SortStableFunc(loads, func(a, b prog) int { return compare(a.vaddr, b.vaddr) })
	p.mappings = &extent.Map[addr.HVA, addr.FileOff]{}
	p.regions = make([]inferior.Region, 0, len(loads))
	last := uint64(0) // end of the segments so far
	for _, s := range loads {
		if s.vaddr < last {
			p.log.Warn("segments overlap: the first one is believed", slog.String("at", fmt.Sprintf("%#x", s.vaddr)))
			skip := last - s.vaddr
			if skip >= s.memsz {
				continue
			}
			s.vaddr, s.memsz = last, s.memsz-skip
			s.off, s.filesz = s.off+min(skip, s.filesz), s.filesz-min(skip, s.filesz)
		}
		last = s.vaddr + s.memsz
		p.regions = append(p.regions, inferior.Region{Start: addr.HVA(s.vaddr), End: addr.HVA(last), Prot: s.flags})
		if err := p.mapSegment(s); err != nil {
			return err
		}
	}
	return nil
}

// mapSegment adds the up to three extents of a segment.
func (p *Process) mapSegment(s prog) error {
	stored := uint64(0) // of filesz, before the end of the file
	if s.off < uint64(p.have) {
		stored = min(s.filesz, uint64(p.have)-s.off)
	}
	for _, part := range []struct {
		kind       extent.Kind
		start, end uint64
	}{
		{extent.Data, 0, stored},
		{extent.Lost, stored, s.filesz},
		{extent.Omitted, s.filesz, s.memsz},
	} {
		if part.start == part.end {
			continue
		}
		e := extent.Extent[addr.HVA, addr.FileOff]{
			Addr: addr.HVA(s.vaddr + part.start), Size: part.end - part.start, Kind: part.kind,
		}
		if part.kind == extent.Data {
			e.Off = addr.InFile(0, int64(s.off+part.start))
		}
		if err := p.mappings.Insert(e); err != nil {
			return err
		}
	}
	return nil
}

// mapFiles adds the file mappings that have no segment: the kernel gives each
// mapping one, gdb's gcore leaves out those it does not store.
func (p *Process) mapFiles() {
	if len(p.notes.files) == 0 {
		return
	}
	holes := &extent.Map[addr.HVA, addr.FileOff]{}
	last := addr.HVA(0)
	for _, e := range p.mappings.Extents() {
		if e.Addr > last {
			holes.Insert(extent.Extent[addr.HVA, addr.FileOff]{Addr: last, Size: uint64(e.Addr - last), Kind: extent.Omitted})
		}
		last = e.End()
	}
	holes.Insert(extent.Extent[addr.HVA, addr.FileOff]{Addr: last, Size: uint64(^addr.HVA(0) - last), Kind: extent.Omitted})
	for _, f := range p.notes.files {
		for _, e := range holes.Clip(f.Start, uint64(f.End-f.Start)) {
			p.mappings.Insert(e)
		}
	}
}
