// Package kdump writes the kdump-compressed form of a memory dump, as
// makedumpfile and QEMU do, which crash, drgn, makedumpfile and libkdumpfile
// read. All integers are in the guest's byte order; a block is as long as a
// page of the guest's kernel.
//
//	block 0     main header
//	block 1     sub header and notes, in whole blocks
//	then        bitmap 1: the pages the guest has; bit 0 of byte 0 is page 0
//	            bitmap 2: those in the file; each in whole blocks
//	then        page descriptors, 24 bytes for each bit in bitmap 2
//	then        a page of zeros, which all pages of zeros share
//	then        the other pages, each compressed on its own, or stored as it
//	            is where that is not shorter
//
// Long runs of pages stored as they are begin with a block of the file system
// if that can share them with their source. What is before them is not used.
//
// It differs from QEMU's own files where readers ask for it. The release, the
// version and the system's name are filled in, without which libkdumpfile and
// drgn do not know the architecture. phys_base is read as the decimal number
// it is. ROM behind the end of RAM is left out, as makedumpfile cannot filter
// a file that has it.
//
//	largest memory  as far as 64-bit page numbers go; 16 TiB for readers that
//	                know 32-bit ones only
//	compression     by page: zlib, LZO, Snappy, Zstandard
//	registers       of all vCPUs, in notes; see package note
//	absent memory   in bitmap 1 and not in bitmap 2; listed in the GUESTCORE
//	                note
//	pipes           in the flattened form, see flat.go
//
// It knows nothing of QEMU; package dump gives it a sink. Package kdumpfile
// reads such files and shares no code with it.
package kdump

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/dump/note"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
)

// Format is the [dump.Format] of kdump files with one way of compression.
type Format struct{ method method }

// Formats are the formats by their ways of compression.
func Formats() []dump.Format {
	var all []dump.Format
	for _, m := range methods {
		all = append(all, Format{m})
	}
	return all
}

// Name is the one QEMU has for it, where it has one: kdump-zlib.
func (f Format) Name() string { return "kdump-" + f.method.name }

// HoldsKernel is true: its notes have VMCOREINFO.
func (Format) HoldsKernel() bool { return true }

// Aliases are other names: what QEMU since 8.2 calls the raw form.
func (f Format) Aliases() []string { return []string{"kdump-raw-" + f.method.name} }

// Check refuses options of other formats, and levels that this one has not.
func (f Format) Check(o dump.Options) error {
	if o.Level < 0 || o.Level > f.method.maxLevel {
		return f.badLevel(o.Level)
	}
	return o.All(f.Name())
}

// Plan lays the file out.
func (f Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	if err := f.Check(o); err != nil {
		return nil, err
	}
	pack, err := f.method.packer(o.Level)
	if err != nil {
		return nil, err
	}
	content, err := dump.Select(m, o)
	if err != nil {
		return nil, err
	}
	info := linux.ParseInfo(note.Of(m, content, o).VMCoreInfo)
	size := blockSize(m.Arch, info)
	content, remarks := dropROM(content)
	pages, content := newPages(content, size)
	if pages.count == 0 {
		return nil, &dump.MissingError{Absent: content.Absent, Nothing: true}
	}
	notes := note.Of(m, content, o)
	l := newLayout(m.Arch.Class, size, pages, int64(len(notes.Bytes)))
	align := max(o.Align, dump.DefaultAlign)
	j := &job{
		image:  m.Image,
		order:  m.Arch.Order,
		flag:   f.method.flag,
		ranges: content.Ranges,
		pages:  pages,
		layout: l,
		packer: pack,
		align:  align,
		flat:   o.Flattened,
		plan: dump.Plan{
			Format:  f.Name(),
			Size:    l.data + (pages.count+1)*size + pages.count*size/piece*align,
			Memory:  content.Memory(),
			Space:   l.data + size,
			Packed:  true,
			Absent:  content.Absent,
			Remarks: append(notes.Remarks, remarks...),
			Sources: m.Image.Files,
		},
	}
	j.head = l.encode(header{
		arch: m.Arch, cpus: len(m.CPUs), flag: f.method.flag, info: info, physBase: physBase(m, info, content), notes: notes,
	})
	return j, nil
}

func (f Format) badLevel(level int) error {
	if f.method.maxLevel == 0 {
		return fmt.Errorf("%s has one level only: leave --level out", f.Name())
	}
	return fmt.Errorf("%s has no level %d: use one from 1, fast, to %d, small", f.Name(), level, f.method.maxLevel)
}

// job is a kdump file laid out.
type job struct {
	image  *guest.Image
	order  binary.ByteOrder
	flag   uint32        // of compressed pages
	ranges []guest.Range // the memory in pages
	pages  *pages
	layout *layout
	packer func() packer
	align  int64  // of pages that the file system may share, bytes
	head   []byte // main header, sub header and notes
	flat   bool
	plan   dump.Plan
}

func (j *job) Plan() dump.Plan { return j.plan }

func (j *job) Run(ctx context.Context, s dump.Sink, p dump.Progress) error {
	if !j.flat && s.Seekable() {
		return j.write(ctx, s, p)
	}
	f, err := flatten(s)
	if err != nil {
		return err
	}
	if err := j.write(ctx, f, p); err != nil {
		return err
	}
	return f.end()
}

// dropROM leaves out the ROM behind the end of RAM. makedumpfile takes the end
// of the kernel's own map of pages for the end of memory; in a file that has
// pages behind it, it looks for the second bitmap at the wrong place.
func dropROM(c *dump.Content) (*dump.Content, []string) {
	last := len(c.Ranges)
	for last > 0 && c.Ranges[last-1].ROM {
		last--
	}
	if last == 0 || last == len(c.Ranges) { // nothing but ROM: better than no file
		return c, nil
	}
	var left []string
	for _, r := range c.Ranges[last:] {
		left = append(left, fmt.Sprintf("%#x-%#x", uint64(r.Addr), uint64(r.End())))
	}
	return &dump.Content{Ranges: c.Ranges[:last:last], Absent: c.Absent},
		[]string{fmt.Sprintf("the ROM behind the end of RAM (%s) is left out, as makedumpfile could not filter the file: the elf format has it",
			strings.Join(left, ", "))}
}
