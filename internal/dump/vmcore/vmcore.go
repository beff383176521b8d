// Package vmcore is the ELF form of a memory dump, which crash, drgn,
// makedumpfile, libkdumpfile and gdb read.
//
//	offset 0            ELF header, ET_CORE
//	64 (ELF32: 52)      program headers: PT_NOTE, then one PT_LOAD a range or,
//	                    with paging, one a mapping: p_vaddr is where a
//	                    processor has it
//	behind them         section header 0, only with 65,535 or more of these
//	then                notes
//	next page boundary  memory, each range from a page boundary on
//
// It differs from QEMU's own dumps where readers ask for it: makedumpfile
// looks for the program headers right behind the ELF header wherever e_phoff
// points, crash takes all below the first memory for header and notes, and
// takes a file for a kdump rather than a netdump only if p_align is 0.
//
//	largest memory  8 EiB (ELF32: as far as addresses and offsets fit, then
//	                ELF64 with the same machine, as QEMU does)
//	compression     none; holes are not stored
//	registers       of all vCPUs, in notes; see package note
//	absent memory   in no PT_LOAD; listed in the GUESTCORE note
//
// It knows nothing of QEMU and of files; package dump gives it a sink.
package vmcore

import (
	"context"
	"fmt"

	"guestcore/internal/dump"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest"
)

// Format is the [dump.Format] of ELF vmcores.
type Format struct{}

// Name is the one QEMU has for it.
func (Format) Name() string { return "elf" }

// HoldsKernel is true: its notes have VMCOREINFO.
func (Format) HoldsKernel() bool { return true }

// Check refuses options of other formats.
func (f Format) Check(o dump.Options) error { return o.Plain(f.Name()) }

// Plan lays the file out.
func (f Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	if err := f.Check(o); err != nil {
		return nil, err
	}
	content, err := dump.Select(m, o)
	if err != nil {
		return nil, err
	}
	notes := note.Of(m, content, o)
	remarks := notes.Remarks
	l, err := newLayout(m.Arch, content.Ranges, inWindow(o.Mappings, o.Window), int64(len(notes.Bytes)), o.Align)
	if err != nil {
		return nil, err
	}
	if l.class != m.Arch.Class {
		remarks = append(remarks, fmt.Sprintf("the guest's memory does not fit into an ELF32 file: this is ELF64 for %s", m.Arch))
	}
	if hidden := content.Memory() - shown(l.segments()); hidden > 0 {
		remarks = append(remarks, fmt.Sprintf("no vCPU has %s of guest memory mapped: it is in the file, and no program header shows it, as in QEMU's dumps with paging",
			dump.Bytes(hidden)))
	}
	head, err := l.encode(notes.Bytes)
	if err != nil {
		return nil, err
	}
	stored, err := dump.Stored(m.Image, content.Ranges)
	if err != nil {
		return nil, err
	}
	return &job{
		image: m.Image,
		head:  head,
		loads: l.loads,
		plan: dump.Plan{
			Format:  Format{}.Name(),
			Size:    l.size,
			Memory:  content.Memory(),
			Space:   int64(len(head)) + stored,
			Absent:  content.Absent,
			Remarks: remarks,
			Sources: m.Image.Files,
		},
	}, nil
}

// job is a vmcore laid out.
type job struct {
	image *guest.Image
	head  []byte // all that is before the memory
	loads []load
	plan  dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if _, err := s.WriteAt(j.head, 0); err != nil {
		return fmt.Errorf("ELF headers and notes: %w", err)
	}
	for _, l := range j.loads {
		if err := dump.CopyMemory(ctx, s, l.offset, j.image, l.Range, p); err != nil {
			return err
		}
	}
	return nil
}
