package windows

import (
	"bytes"
	"fmt"
	"strings"
)

// image is an executable as Windows has it in memory: its bytes are where
// their relative addresses (RVAs) say, and zeros where pages are gone. Nothing
// in it is trusted: what lies outside reads as 0.
type image struct {
	space
	base  uint64
	bytes []byte
	gone  int // pages
}

// Offsets in an executable's headers (Microsoft's description of PE, 3.1 to
// 3.4.2, 5.1.1, 6.1.1 and 6.3.1).
const (
	peOffset   = 0x3c // in the DOS header, of the next one
	peMachine  = 4    // u16
	peOptional = 0x18
	peMagic    = peOptional        // u16: 0x10b, 0x20b
	peSize     = peOptional + 0x38 // u32, bytes
	peTables64 = peOptional + 0x70 // {RVA, size}, u32 each
	peTables32 = peOptional + 0x60

	exportTable  = 0 // the table's number
	exportName   = 0xc
	exportCount  = 0x18 // of names
	exportPlaces = 0x1c // RVAs of the RVAs, the names' RVAs and the ordinals
	exportNames  = 0x20
	exportOrder  = 0x24

	debugTable = 6
	debugEntry = 28 // bytes
	debugType  = 12 // 2 is CodeView
	debugRVA   = 20
	debugPDB   = 24 // behind RSDS, a GUID and an age
)

// maxImage bounds an image, bytes: kernels have some 10 to 20 MiB.
const maxImage = 64 << 20

// readImage reads the image at an address if its headers are those of one for
// this kind of guest.
func readImage(s space, base uint64) (*image, error) {
	im := &image{space: s, base: base, bytes: make([]byte, PageSize)}
	if err := s.read(im.bytes, base); err != nil {
		return nil, err
	}
	machine, magic := uint64(0x14c), uint64(0x10b)
	if s.word == 8 {
		machine, magic = 0x8664, 0x20b
	}
	at := im.uint(peOffset, 4)
	switch {
	case im.uint(0, 2) != 'M'|'Z'<<8 || im.uint(at, 4) != 'P'|'E'<<8:
		return nil, fmt.Errorf("what is at %#x is no executable", base)
	case im.uint(at+peMachine, 2) != machine || im.uint(at+peMagic, 2) != magic:
		return nil, fmt.Errorf("the executable at %#x is of another kind of machine", base)
	}
	size := im.uint(at+peSize, 4)
	if size < PageSize || size > min(maxImage, im.image.Size()) {
		return nil, fmt.Errorf("the executable at %#x cannot have %#x bytes", base, size)
	}
	im.bytes = make([]byte, size)
	for done := uint64(0); done < size; {
		n, err := s.image.ReadVirtual(s.paging, im.bytes[done:], s.at(base+done))
		if done += uint64(n); err == nil {
			break
		}
		im.gone++
		next := min(size, (done|(PageSize-1))+1)
		clear(im.bytes[done:next])
		done = next
	}
	return im, nil
}

// uint is the number of n bytes at an RVA.
func (im *image) uint(rva uint64, n int) uint64 {
	if rva > uint64(len(im.bytes)) || uint64(n) > uint64(len(im.bytes))-rva {
		return 0
	}
	return number(im.bytes[rva : rva+uint64(n)])
}

// text is the NUL-terminated string at an RVA, "" if it is no short one. RVA 0,
// of the headers, is what a page that is gone says.
func (im *image) text(rva uint64) string {
	const longest = 128
	if rva == 0 || rva >= uint64(len(im.bytes)) {
		return ""
	}
	s, _, ok := bytes.Cut(im.bytes[rva:min(uint64(len(im.bytes)), rva+longest)], []byte{0})
	if !ok {
		return ""
	}
	return string(s)
}

// table is a data directory: its RVA and its size in bytes.
func (im *image) table(n uint64) (rva, size uint64) {
	at := im.uint(peOffset, 4) + peTables32 + 8*n
	if im.word == 8 {
		at += peTables64 - peTables32
	}
	return im.uint(at, 4), im.uint(at+4, 4)
}

// name is the one that the image exports under.
func (im *image) name() string {
	if at, _ := im.table(exportTable); at != 0 {
		return im.text(im.uint(at+exportName, 4))
	}
	return ""
}

// pdb is the name of the image's debug information.
func (im *image) pdb() string {
	at, size := im.table(debugTable)
	for ; size >= debugEntry && at < uint64(len(im.bytes)); at, size = at+debugEntry, size-debugEntry {
		rsds := im.uint(at+debugRVA, 4)
		if im.uint(at+debugType, 4) == 2 && im.uint(rsds, 4) == 'R'|'S'<<8|'D'<<16|'S'<<24 {
			return im.text(rsds + debugPDB)
		}
	}
	return ""
}

// export is the address of what the image exports under a name, 0 if nothing.
func (im *image) export(name string) uint64 {
	at, _ := im.table(exportTable)
	if at == 0 {
		return 0
	}
	names, order, places := im.uint(at+exportNames, 4), im.uint(at+exportOrder, 4), im.uint(at+exportPlaces, 4)
	for i := range min(im.uint(at+exportCount, 4), uint64(len(im.bytes))/4) {
		if im.text(im.uint(names+4*i, 4)) == name {
			return im.at(im.base + im.uint(places+4*im.uint(order+2*i, 2), 4))
		}
	}
	return 0
}

// has reports whether an address is in the image.
func (im *image) has(va uint64) bool { return im.at(va)-im.base < uint64(len(im.bytes)) }

// isKernel reports whether the image is Windows' kernel: by its export name
// or, where that page is gone, by the name of its debug information.
func (im *image) isKernel() bool {
	switch strings.ToLower(im.pdb()) {
	case "ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb":
		return true
	}
	return strings.EqualFold(im.name(), "ntoskrnl.exe")
}
