package guest

import (
	"bytes"
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

// Windows is what a crash dump of a guest that runs Windows needs beside its
// memory. Package windows finds it.
type Windows struct {
	// Header is that of a complete crash dump as it is to be in the file:
	// 8192 bytes of a 64-bit guest, 4096 of a 32-bit one.
	Header []byte
	// Patches are to be in the dump, and only there, instead of what guest
	// memory holds: the processors' contexts, a KDBG that the guest had
	// encoded.
	Patches []Patch
	// Kept tells that the machine comes out of a Windows crash dump: the
	// header is that one's, and the contexts are in memory as they are to be.
	Kept bool
	// Origin says where the header came from, for people.
	Origin string
	// Remarks are what else the user should know, a sentence each.
	Remarks []string
}

// Patch is bytes for a place in guest memory.
type Patch struct {
	Addr  addr.GPA
	Bytes []byte
}

// patched is the file of the patches' bytes.
type patched struct{ *bytes.Reader }

func (patched) Name() string { return "what the dump has instead of the guest's bytes" }

// With is the image with other bytes in some places, later patches over
// earlier ones. The image itself stays as it is.
func (im *Image) With(patches []Patch) (*Image, error) {
	if len(patches) == 0 {
		return im, nil
	}
	var all []byte
	files := append(im.Files[:len(im.Files):len(im.Files)], nil)
	out := &Image{Ranges: im.Ranges, Map: im.Map.Clone(), Files: files}
	for _, p := range patches {
		if len(p.Bytes) == 0 {
			continue
		}
		var has uint64
		for _, e := range im.Map.Clip(p.Addr, uint64(len(p.Bytes))) {
			has += e.Size
		}
		if has != uint64(len(p.Bytes)) {
			return nil, fmt.Errorf("guest has no memory for all of the %d bytes to be put at %#x", len(p.Bytes), uint64(p.Addr))
		}
		off := addr.InFile(len(files)-1, int64(len(all)))
		if err := out.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: p.Addr, Size: uint64(len(p.Bytes)), Off: off, Kind: extent.Data}); err != nil {
			return nil, err
		}
		all = append(all, p.Bytes...)
	}
	files[len(files)-1] = patched{bytes.NewReader(all)}
	return out, nil
}
