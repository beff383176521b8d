// Package die reads DWARF debugging information entries (DIEs), versions 2 to 5, one unit at a time and without an index. It exists
// beside debug/dwarf because that reads the abbreviations of every unit before the first answer, and cannot follow the references that
// dwz makes into a supplementary file.
//
// It knows no ELF (package objfile, below, has the sections) and gives no meaning to an entry (package ctype, above, does). It takes
// tags, attributes and their names from debug/dwarf. Nothing here is safe for concurrent use.
package die

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// ErrNoSup means that an entry refers to the supplementary file and that was not found.
var ErrNoSup = errors.New("it lies in the supplementary debug file, which was not found")

// Section is one DWARF section. Slice gives n bytes at an offset, in room if it likes.
type Section interface {
	Size() uint64
	Slice(off, n uint64, room []byte) ([]byte, error)
}

// Source opens a section by its name, ".debug_info"; nil if there is none.
type Source func(name string) (Section, error)

// Data is the DWARF of one file.
type Data struct {
	Order binary.ByteOrder
	Sup   *Data // the supplementary file; nil: none

	source  Source
	units   []*Unit           // of .debug_info, then of .debug_types
	nInfo   int               // how many of them are of .debug_info
	whole   map[string][]byte // sections held in full
	abbrevs map[abbrevKey]abbrevs
	sigs    map[uint64]*Unit // type units by signature

	loaded     []*Unit // the units in memory, oldest first
	loadedSize uint64  // bytes
}

// New reads the headers of all units. sup is the supplementary file's data, nil if there is none.
func New(source Source, order binary.ByteOrder, sup *Data) (*Data, error) {
	d := &Data{Order: order, Sup: sup, source: source, whole: map[string][]byte{}, abbrevs: map[abbrevKey]abbrevs{}, sigs: map[uint64]*Unit{}}
	if err := d.readUnits(".debug_info"); err != nil {
		return nil, err
	}
	d.nInfo = len(d.units)
	return d, d.readUnits(".debug_types") // DWARF 4 only
}

// Units are all units in the order of the file.
func (d *Data) Units() []*Unit { return d.units }

// Bytes gives the whole of a section, which is held in memory from then on; nil if there is none.
func (d *Data) Bytes(name string) ([]byte, error) {
	if b, ok := d.whole[name]; ok {
		return b, nil
	}
	s, err := d.source(name)
	if err != nil {
		return nil, err
	}
	var b []byte
	if s != nil {
		if b, err = s.Slice(0, s.Size(), nil); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	d.whole[name] = b
	return b, nil
}

// At reads the entry at an offset of .debug_info.
func (d *Data) At(off uint64) (Entry, error) {
	info := d.units[:d.nInfo]
	i := sort.Search(len(info), func(i int) bool { return info[i].end > off })
	if i == len(info) || off < info[i].first {
		return Entry{}, fmt.Errorf("no entry at %#x of .debug_info", off)
	}
	return info[i].At(off)
}

// signature finds the type that a type unit defines.
func (d *Data) signature(sig uint64) (Entry, error) {
	u, ok := d.sigs[sig]
	if !ok {
		return Entry{}, fmt.Errorf("no type unit with signature %#016x", sig)
	}
	return u.At(u.off + u.typeOff)
}

// StringOffsets finds every place of a string section (".debug_str") that reads s to its end, sorted. A linker lets strings share
// their tails, so that s may begin in the middle of a longer one.
func (d *Data) StringOffsets(section, s string) ([]uint64, error) {
	b, err := d.Bytes(section)
	if err != nil {
		return nil, err
	}
	var offs []uint64
	for off := range Occurrences(b, append([]byte(s), 0)) {
		offs = append(offs, uint64(off))
	}
	slices.Sort(offs)
	return offs, nil
}
