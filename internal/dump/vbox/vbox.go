// Package vbox is VirtualBox's form of a memory dump, "VMCore", as its command
// debugvm dumpvmcore writes it (DBGFCoreWrite.cpp): Volatility 3 reads it, and
// by their sources Volatility 2 and LeechCore do.
//
//	offset 0        ELF header: ET_CORE, 64 bits, EI_VERSION 0
//	64              program headers: PT_NOTE, then a PT_LOAD for each range of
//	                memory or of devices, in order of address; p_vaddr and
//	                p_align are 0
//	behind them     notes: VBCORE, a VBCPU for each processor, then two of ours,
//	                VMCOREINFO if the guest has it and GUESTCORE
//	next page       memory
//
// VirtualBox has it in several versions, of which the processors' notes
// differ; see [Formats]. It differs from VirtualBox's own files in that memory
// begins at a page boundary, so that it can be shared, in the notes of ours,
// which its readers pass over, and in the number of VirtualBox's version, which
// is 0. Of the very first form, of 2010, with notes VBOXCORE and VBOXCPU, only the
// source that wrote it is known, and no file: what that leaves open is said
// with each dump.
//
//	largest memory  8 EiB, in 65,534 ranges
//	compression     none; holes are not stored
//	registers       of all vCPUs; zeros where they are not known, which the
//	                GUESTCORE note tells
//	absent memory   zeros; listed in the GUESTCORE note
//	guests          x86
//
// It knows nothing of QEMU and of files; package dump gives it a sink. Packages
// vmcorefile and vboxfile read such files and share no code with it.
package vbox

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"slices"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/note"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Format is the [dump.Format] of one version of VMCore.
type Format struct{ version version }

// version is a version of the format.
type version struct {
	name   string
	number uint32 // in the descriptor; 0: the first form, whose descriptor has none
	// cpu is what a VBCPU note holds.
	cpu func(*arch.X86) []byte
	// lost are the registers it has no place for, and how to tell that a
	// processor has them.
	lost []register
}

// versions are those whose source is known.
var versions = []version{
	{"vbox", 0x00010006, func(s *arch.X86) []byte { return coreCPU(s, true) }, nil},
	{"vbox-6.0", 0x00010005, func(s *arch.X86) []byte { return coreCPU(s, false) }, lost5},
	{"vbox-4.0", 0x00010000, context40, lost40},
	{"vbox-2010", 0, context40, lost40},
}

// unseen is what is not known of the first form.
const unseen = "of VirtualBox's form of 2010 no file was seen: its descriptor is laid out in the order in which VirtualBox's source fills it, " +
	"and its registers are where VirtualBox 4.0 has them"

// Formats are the formats by the release of VirtualBox whose files they are
// like, the newest first. Sources that have them are of 2023 to 2026 (7.0 and
// later, version 0x00010006), of 2019 (6.0, 0x00010005), and of November 2010
// (4.0, 0x00010000), and before (the first form); in which release each came and went is not known.
func Formats() []dump.Format {
	var all []dump.Format
	for _, v := range versions {
		all = append(all, Format{v})
	}
	return all
}

// Name is vbox, with a release behind it if that is not the newest.
func (f Format) Name() string { return f.version.name }

// HoldsKernel is true: its notes have VMCOREINFO.
func (Format) HoldsKernel() bool { return true }

// Aliases is the number of the version.
func (f Format) Aliases() []string {
	if f.version.number == 0 {
		return nil
	}
	return []string{fmt.Sprintf("vbox-0x%08x", f.version.number)}
}

// Check refuses options of other formats.
func (f Format) Check(o dump.Options) error {
	return cmp.Or(o.Plain(f.Name()), o.Physical(f.Name()))
}

// Plan lays the file out.
func (f Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	if m.Arch.Machine != elf.EM_X86_64 && m.Arch.Machine != elf.EM_386 {
		return nil, fmt.Errorf("VirtualBox's format is for guests of x86, and this one is of %s: use the elf format", m.Arch)
	}
	if err := f.Check(o); err != nil {
		return nil, err
	}
	content, err := dump.Select(m, o)
	if err != nil {
		return nil, err
	}
	notes, remarks := f.version.notes(m, content, o)
	l, err := newLayout(m.Arch, content, m.Devices, int64(len(notes)), o.Align)
	if err != nil {
		return nil, err
	}
	stored, err := dump.Stored(m.Image, content.Ranges)
	if err != nil {
		return nil, err
	}
	if len(content.Absent) > 0 {
		remarks = append(remarks, "VirtualBox's format cannot leave memory out: zeros stand for what is absent, as in VirtualBox's own files, "+
			"and only the GUESTCORE note tells them from zeros of the guest")
	}
	return &job{
		image:  m.Image,
		head:   append(l.encode(), notes...),
		layout: l,
		plan: dump.Plan{
			Format:  f.Name(),
			Size:    l.size,
			Memory:  content.Memory(),
			Space:   l.notes + l.noteLen + stored,
			Absent:  content.Absent,
			Remarks: remarks,
			Sources: m.Image.Files,
		},
	}, nil
}

// notes makes all notes of a file, and what the user should know of the
// registers.
func (v version) notes(m *guest.Machine, c *dump.Content, o dump.Options) (b []byte, remarks []string) {
	states, remarks := note.States(m, o.StaleRegisters)
	cpus := m.CPUs
	if !slices.ContainsFunc(states, func(s arch.State) bool { return s != nil }) {
		cpus = nil
	}
	form := current
	if v.number == 0 {
		form, remarks = first, append(remarks, unseen)
	}
	b = form.append(b, form.core, ntCore, form.descriptor(v.number, len(cpus)))
	unknown, lost := tally{}, tally{}
	var lines []string
	for i, cpu := range cpus {
		s, ok := states[i].(*arch.X86)
		names := "all"
		if ok {
			names = unknownOf(s)
			unknown.add(cpu.Index, names)
			lost.add(cpu.Index, v.lostOf(s))
		} else {
			s = &arch.X86{} // a place for it: processors go by number
		}
		if names != "" {
			lines = append(lines, fmt.Sprintf("CPU%d-UNKNOWN=%s", cpu.Index, names))
		}
		b = form.append(b, form.cpu, ntCPU, v.cpu(s))
	}
	rest := note.Rest(m, c, o, lines)
	remarks = append(remarks, unknown.remarks("the registers %s of CPU %s are not known: zeros stand for them")...)
	remarks = append(remarks, lost.remarks("the registers %s of CPU %s are left out: "+v.name+" has no place for them")...)
	return append(b, rest.Bytes...), append(remarks, rest.Remarks...)
}

// job is a file laid out.
type job struct {
	image  *guest.Image
	head   []byte // all that is before the memory
	layout *layout
	plan   dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if _, err := s.WriteAt(j.head, 0); err != nil {
		return fmt.Errorf("ELF headers and notes: %w", err)
	}
	for _, seg := range j.layout.segments {
		at := seg.offset
		for _, e := range seg.parts {
			var err error
			switch e.Kind {
			case extent.Data:
				err = dump.CopyMemory(ctx, s, at, j.image, guest.Range{Addr: e.Addr, Size: e.Size}, p)
			case extent.Lost:
				err = s.HoleAt(at, int64(e.Size))
			default:
				err = errors.New("a range of devices has no bytes: please report this")
			}
			if err != nil {
				return err
			}
			at += int64(e.Size)
		}
	}
	return nil
}
