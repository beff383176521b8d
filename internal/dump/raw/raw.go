// Package raw is guest memory as it lies: a byte's offset in the file is its
// guest-physical address, less the begin of the range that was asked for.
// Volatility, LeechCore and any hex editor read it. There is nothing in it to
// tell it by.
//
//	largest memory  up to the address 16 TiB, where file systems end
//	compression     none; holes are not stored
//	registers       none
//	absent memory   zeros, as what is no memory at all
//
// It knows nothing of QEMU and of files; package dump gives it a sink.
package raw

import (
	"cmp"
	"context"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// Format is the [dump.Format] of raw images.
type Format struct{}

// Name is raw.
func (Format) Name() string { return "raw" }

// HoldsKernel is false: it has no place for VMCOREINFO.
func (Format) HoldsKernel() bool { return false }

// maxSize is the length of the longest file there is on ext4, bytes.
const maxSize = 16 << 40

// Check refuses options of other formats.
func (f Format) Check(o dump.Options) error {
	return cmp.Or(o.Plain(f.Name()), o.Physical(f.Name()))
}

// Plan lays the file out.
func (f Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	if err := f.Check(o); err != nil {
		return nil, err
	}
	content, err := dump.Select(m, o)
	if err != nil {
		return nil, err
	}
	stored, err := dump.Stored(m.Image, content.Ranges)
	if err != nil {
		return nil, err
	}
	base, end := content.Window.Begin, addr.GPA(0)
	for _, r := range content.Ranges {
		end = max(end, r.End())
	}
	for _, a := range content.Absent {
		end = max(end, a.Addr+addr.GPA(a.Size))
	}
	if end-base > maxSize {
		return nil, fmt.Errorf("guest memory ends at %v: a raw image of it is longer than the %s a file can be: use the elf format, or begin and length",
			end, dump.Bytes(maxSize))
	}
	remarks := []string{"a raw image holds memory alone: no registers, no VMCOREINFO"}
	if n := uint64(end-base) - uint64(content.Memory()); n > 0 {
		remarks = append(remarks, fmt.Sprintf("%s of the image are no memory of the guest, or absent: zeros stand for them", dump.Bytes(int64(n))))
	}
	if base > 0 {
		remarks = append(remarks, fmt.Sprintf("offset 0 of the image is guest-physical address %v", base))
	}
	return &job{m.Image, content.Ranges, base, dump.Plan{
		Format:  f.Name(),
		Size:    int64(end - base),
		Memory:  content.Memory(),
		Space:   stored,
		Absent:  content.Absent,
		Remarks: remarks,
		Sources: m.Image.Files,
	}}, nil
}

// job is an image laid out.
type job struct {
	image  *guest.Image
	ranges []guest.Range
	base   addr.GPA // of the image
	plan   dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	at := int64(0)
	pad := func(to int64) error {
		if to == at {
			return nil
		}
		err := s.HoleAt(at, to-at)
		at = to
		return err
	}
	for _, r := range j.ranges {
		if err := pad(int64(r.Addr - j.base)); err != nil {
			return err
		}
		if err := dump.CopyMemory(ctx, s, at, j.image, r, p); err != nil {
			return err
		}
		at += int64(r.Size)
	}
	return pad(j.plan.Size)
}
