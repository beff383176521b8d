package objfile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// DebugData is DWARF as it lies in one file, and in the supplementary file that it refers to.
type DebugData struct {
	Path  string
	Order binary.ByteOrder
	Sup   *DebugData // what dwz moved out of this file; nil: none
	// SupErr says why Sup is missing although the file needs it; nil if all is well.
	SupErr error

	img *image
}

// Section reads the content of a section by its name, ".debug_info", uncompressed; nil if there is none. Each call reads anew.
func (d *DebugData) Section(name string) ([]byte, error) { return d.img.bytes(name) }

// DebugData gives the DWARF that belongs to the file. With none the error wraps ErrNoDebugInfo and says where was looked.
func (f *File) DebugData() (*DebugData, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data != nil {
		return f.data, nil
	}
	d := f.findDebug()
	if d == nil || !d.img.hasDWARF() {
		return nil, fmt.Errorf("%s (build-id %s): none in the file, none for it under %s nor in debuginfod's cache: %w",
			f.main.path, orNone(f.main.id), strings.Join(f.opts.dirs(), ", "), ErrNoDebugInfo)
	}
	f.data = debugData(d.img)
	f.data.SupErr = d.supOf
	if d.sup != nil {
		f.data.Sup = debugData(d.sup)
	}
	return f.data, nil
}

func debugData(img *image) *DebugData {
	return &DebugData{Path: img.path, Order: img.elf.ByteOrder, img: img}
}

// hasDWARF says whether the file itself holds types. A stripped program may keep the links to them.
func (img *image) hasDWARF() bool {
	for _, name := range []string{".debug_info", ".zdebug_info"} {
		if s := img.elf.Section(name); s != nil && s.FileSize > 0 && s.Type != elf.SHT_NOBITS {
			return true
		}
	}
	return false
}
