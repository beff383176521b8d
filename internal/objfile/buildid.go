package objfile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
)

// BuildID is a GNU build-id: the linker's hash of the program. A debug file carries that of its executable.
type BuildID []byte

// String is the build-id in hex, as file names and error messages have it.
func (id BuildID) String() string { return hex.EncodeToString(id) }

// Equal says whether both are the same; nil equals nothing.
func (id BuildID) Equal(other BuildID) bool { return len(id) > 0 && bytes.Equal(id, other) }

// path is the name below a .build-id directory, "ab/cdef" and a suffix. A build-id of one byte has none.
func (id BuildID) path(suffix string) (string, bool) {
	if len(id) < 2 {
		return "", false
	}
	s := id.String()
	return filepath.Join(".build-id", s[:2], s[2:]+suffix), true
}

const (
	maxNotes    = 1 << 20 // bytes of one PT_NOTE that are looked at
	maxBuildID  = 64      // bytes; sha1 makes 20, the linker's --build-id=0x… whatever the user wants
	gnuBuildID  = 3       // NT_GNU_BUILD_ID, elf.h
	noteHdrSize = 12      // namesz, descsz, type
)

// BuildIDFrom reads the build-id of an ELF image: program headers, PT_NOTE, NT_GNU_BUILD_ID. The image is a file or the first
// segment of one as it is mapped in memory, of which the first page is enough. With none the error wraps ErrNoBuildID.
func BuildIDFrom(r io.ReaderAt) (BuildID, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, fmt.Errorf("build-id: %w", err)
	}
	progs, err := h.programs(r)
	if err != nil {
		return nil, fmt.Errorf("build-id: %w", err)
	}
	err = ErrNoBuildID
	for _, p := range progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		notes := make([]byte, min(p.Filesz, maxNotes))
		if rerr := readFull(r, notes, p.Off); rerr != nil {
			err = fmt.Errorf("%w: notes: %w", ErrNoBuildID, rerr)
			continue
		}
		if id := buildIDInNotes(notes, h.order, p.Align); id != nil {
			return id, nil
		}
	}
	return nil, err
}

// buildIDInNotes walks notes: header (namesz, descsz, type: 32 bits each), name, descriptor, both padded to 4 bytes, or to 8 in
// a segment aligned so (x86's .note.gnu.property).
func buildIDInNotes(b []byte, order binary.ByteOrder, align uint64) BuildID {
	pad := uint64(4)
	if align == 8 {
		pad = 8
	}
	for len(b) >= noteHdrSize {
		namesz, descsz := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		typ := order.Uint32(b[8:])
		descOff := (noteHdrSize + namesz + pad - 1) &^ (pad - 1)
		end := descOff + descsz
		if end > uint64(len(b)) {
			return nil
		}
		name := b[noteHdrSize : noteHdrSize+namesz]
		if typ == gnuBuildID && string(name) == "GNU\x00" && descsz > 0 && descsz <= maxBuildID {
			return BuildID(bytes.Clone(b[descOff:end]))
		}
		b = b[min((end+pad-1)&^(pad-1), uint64(len(b))):]
	}
	return nil
}
