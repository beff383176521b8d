package dumpfile

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/dump/limefile"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// newLiME makes a file of a dump in LiME's form.
func newLiME(l *limefile.File) (*File, error) {
	f := &File{Format: "LiME", Block: 1, close: l.Close}
	f.takeImage(&l.Image)
	return f, nil
}

// raw is what the name of an image begins with that has guest memory alone.
const raw = "raw:"

// OpenNamed opens a dump by what a user calls it: raw:FILE for an image of
// guest memory that begins at 0, raw:FILE@ADDRESS for one that begins there, and
// else FILE, for [Open]. An address is decimal or, with 0x, hexadecimal.
func OpenNamed(name string) (*File, error) {
	path, ok := strings.CutPrefix(name, raw)
	if !ok {
		return Open(name)
	}
	at := uint64(0)
	if i := strings.LastIndexByte(path, '@'); i >= 0 {
		if n, err := strconv.ParseUint(path[i+1:], 0, 63); err == nil {
			path, at = path[:i], n
		}
	}
	return OpenRaw(path, addr.GPA(at))
}

// OpenRaw opens an image of guest memory that begins at an address, until
// Close. What is a gap in the guest's memory it cannot tell.
func OpenRaw(path string, at addr.GPA) (*File, error) {
	_, size, err := beginning(path)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fmt.Errorf("%s: %w: it is empty", path, ErrNotDump)
	}
	if size > addr.MaxFileOff || at+addr.GPA(size) < at || int64(at+addr.GPA(size)) < 0 {
		return nil, fmt.Errorf("%s: %w: no guest has %#x bytes of memory at %v", path, ErrNotDump, size, at)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	im := &guest.Image{
		Ranges: []guest.Range{{Addr: at, Size: uint64(size)}},
		Map:    &extent.Map[addr.GPA, addr.FileOff]{},
		Files:  []addr.Source{file},
	}
	if err := im.Map.Insert(extent.Extent[addr.GPA, addr.FileOff]{Addr: at, Size: uint64(size)}); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{Path: path, Format: "raw image", Size: size, Block: 1, Ranges: im.Ranges, memory: im, close: file.Close}, nil
}
