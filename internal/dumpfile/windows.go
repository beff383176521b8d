package dumpfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"guestcore/internal/dump/windmpfile"
	"guestcore/internal/guest"
)

// newWindows makes a file of a Windows crash dump. Its header becomes the note
// that the guest's driver hands to QEMU, so that formats with notes keep it.
func newWindows(w *windmpfile.File) (*File, error) {
	f := &File{
		Format: "Windows crash dump, complete, of x86", Class: elf.ELFCLASS32, Machine: elf.EM_386,
		Order: binary.LittleEndian, Block: windmpfile.PageSize, close: w.Close,
	}
	if w.Wide {
		f.Format, f.Class, f.Machine = "Windows crash dump, complete, of x64", elf.ELFCLASS64, elf.EM_X86_64
	}
	if w.Type == windmpfile.Bitmap {
		f.Format += ", with a bitmap"
	}
	im, err := w.Image()
	if err != nil {
		return nil, err
	}
	f.takeImage(im)
	f.CPUs, f.Own = w.CPUs(im), w.Own(im)
	header, err := w.CompleteHeader()
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
		return f, nil
	}
	f.notes = []note{{name: "VMCOREINFO", desc: header}}
	f.windows = &guest.Windows{Header: header, Origin: "the dump's own header", Kept: true}
	return f, nil
}

// readOwn says of a dump that was made of a Windows crash dump, with its
// contexts, what is true of that one.
func (f *File) readOwn() {
	if !bytes.Contains(f.note("GUESTCORE").desc, []byte("CONTEXTS=kept\n")) {
		return
	}
	header := f.note("VMCOREINFO").desc
	w, err := windmpfile.New(bytes.NewReader(header), int64(len(header)))
	if err != nil {
		return
	}
	if im, _, err := f.image(); err == nil {
		f.Own = w.Own(im)
	}
}
