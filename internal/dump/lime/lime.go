// Package lime is the form that LiME, the Linux memory extractor, gives to a
// dump, version 1: memory with its addresses and nothing else. Volatility reads
// it.
//
//	offset 0   u32 magic 0x4c694d45, u32 version 1
//	8          u64 first address, u64 last address, 8 bytes of zeros
//	32         memory
//
// and so on for each range, one behind the other. Integers are little-endian
// whatever the guest's order, as readers expect them. Memory begins where it
// happens to, so that no file system can share it.
//
//	largest memory  8 EiB
//	compression     none; holes are not stored
//	registers       none
//	absent memory   in no range
//
// It knows nothing of QEMU and of files; package dump gives it a sink. Package
// limefile reads such files and shares no code with it.
package lime

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// Format is the [dump.Format] of LiME files.
type Format struct{}

// Name is lime.
func (Format) Name() string { return "lime" }

// HoldsKernel is false: it has no place for VMCOREINFO.
func (Format) HoldsKernel() bool { return false }

const (
	magic      = 0x4c694d45
	version    = 1
	headerSize = 32 // bytes
)

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
	size := int64(0)
	for _, r := range content.Ranges {
		if r.Size > uint64(math.MaxInt64-headerSize-size) {
			return nil, fmt.Errorf("guest memory of %#x bytes at %#x: a file cannot be that large", r.Size, uint64(r.Addr))
		}
		size += headerSize + int64(r.Size)
	}
	return &job{m.Image, content.Ranges, dump.Plan{
		Format:  f.Name(),
		Size:    size,
		Memory:  content.Memory(),
		Space:   int64(len(content.Ranges))*headerSize + stored,
		Absent:  content.Absent,
		Remarks: []string{"LiME's format holds memory alone: no registers, no VMCOREINFO, and no word of what is absent"},
		Sources: m.Image.Files,
	}}, nil
}

// job is a file laid out: the ranges, one behind the other.
type job struct {
	image  *guest.Image
	ranges []guest.Range
	plan   dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	at := int64(0)
	for _, r := range j.ranges {
		if _, err := s.WriteAt(header(r), at); err != nil {
			return fmt.Errorf("header of the range at %#x: %w", uint64(r.Addr), err)
		}
		at += headerSize
		if err := dump.CopyMemory(ctx, s, at, j.image, r, p); err != nil {
			return err
		}
		at += int64(r.Size)
	}
	return nil
}

func header(r guest.Range) []byte {
	b := make([]byte, headerSize)
	binary.LittleEndian.PutUint32(b, magic)
	binary.LittleEndian.PutUint32(b[4:], version)
	binary.LittleEndian.PutUint64(b[8:], uint64(r.Addr))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.End())-1)
	return b
}
