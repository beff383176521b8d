// Package windmp is the complete crash dump of Windows, which WinDbg, radare2,
// Volatility and LeechCore read.
//
//	offset 0   header, 0x2000 bytes (32-bit guests: 0x1000)
//	behind it  the pages of the header's runs, one run behind the other
//
// The header is package windows': it comes from the guest, and so do its runs,
// which are what Windows takes for its memory. The file of a guest that is all
// there is QEMU's own to the byte.
//
//	largest memory  42 runs (32-bit guests: 86, up to 16 TiB)
//	compression     none; holes are not stored
//	registers       of the processors that Windows knows, as contexts in
//	                memory, where debuggers look for them: patches of the file
//	                alone
//	absent memory   in no run or, where that takes more runs than there is room
//	                for, zeros; the header's comment says so
//
// It knows nothing of QEMU and of files; package dump gives it a sink.
package windmp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/windows"
)

// Format is the [dump.Format] of Windows crash dumps.
type Format struct{}

// Name is the one QEMU has for it.
func (Format) Name() string { return "win-dmp" }

// HoldsKernel is false: a Windows dump has no place for VMCOREINFO.
func (Format) HoldsKernel() bool { return false }

// Check refuses options of other formats.
func (f Format) Check(o dump.Options) error {
	return cmp.Or(o.Plain(f.Name()), o.All(f.Name()))
}

// Plan lays the file out. [windows.Identify] must have been asked about the
// machine.
func (f Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	if err := f.Check(o); err != nil {
		return nil, err
	}
	if m.Windows == nil {
		return nil, errors.New("nothing is known of a Windows in the guest, and a Windows crash dump is made of what that says: use the elf format")
	}
	header, err := windows.ParseHeader(bytes.Clone(m.Windows.Header))
	if err != nil {
		return nil, err
	}
	o.IncludePMEM = true // the header says what is in the file
	content, err := dump.Select(m, o)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(header, m.Image, content)
	if err != nil {
		return nil, err
	}
	image, err := m.Image.With(m.Windows.Patches)
	if err != nil {
		return nil, fmt.Errorf("the processors' contexts: %w: use the elf format", err)
	}
	stored, err := dump.Stored(image, l.ranges())
	if err != nil {
		return nil, err
	}
	if s := label(m, content, o); s != "" {
		header.SetComment(s)
	}
	return &job{
		image:  image,
		header: header,
		parts:  l.parts,
		plan: dump.Plan{
			Format:  f.Name(),
			Size:    l.size,
			Memory:  l.memory(),
			Space:   int64(len(header)) + stored,
			Absent:  content.Absent,
			Remarks: slices.Concat(m.Windows.Remarks, l.remarks),
			Sources: m.Image.Files,
		},
	}, nil
}

// label is what the header's comment says of a file that lacks something, ""
// if it lacks nothing: then the guest's own comment stays.
func label(m *guest.Machine, c *dump.Content, o dump.Options) string {
	var lacks []string
	if m.Sealed != "" {
		lacks = append(lacks, "memory is sealed")
	}
	var absent uint64
	for _, a := range c.Absent {
		absent += a.Size
	}
	if absent > 0 {
		lacks = append(lacks, dump.Bytes(int64(absent))+" of memory absent")
	}
	without, stale := 0, 0
	for _, cpu := range m.CPUs {
		switch {
		case m.Windows.Kept: // the contexts have them
		case !cpu.Usable(o.StaleRegisters):
			without++
		case cpu.Trust == guest.Stale:
			stale++
		}
	}
	if without > 0 {
		lacks = append(lacks, fmt.Sprintf("no registers of %d of %d CPUs", without, len(m.CPUs)))
	}
	if stale > 0 {
		lacks = append(lacks, fmt.Sprintf("stale registers of %d of %d CPUs", stale, len(m.CPUs)))
	}
	if lacks == nil {
		return ""
	}
	creator := o.Creator
	if creator == "" {
		creator = "guestcore"
	}
	return creator + ": " + strings.Join(lacks, "; ")
}

// job is a crash dump laid out.
type job struct {
	image  *guest.Image // with the processors' contexts
	header windows.Header
	parts  []part
	plan   dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if _, err := s.WriteAt(j.header, 0); err != nil {
		return fmt.Errorf("crash dump header: %w", err)
	}
	for _, x := range j.parts {
		var err error
		if x.zero {
			err = s.HoleAt(x.off, int64(x.Size))
		} else {
			err = dump.CopyMemory(ctx, s, x.off, j.image, x.Range, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
