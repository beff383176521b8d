package kdumpfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sort"

	"guestcore/internal/extent"
)

// flat is a flattened file as the file it stands for: a header of 4096 bytes,
// then records of an offset, a length and bytes, all big-endian, until both
// are -1.
type flat struct {
	r       io.ReaderAt
	records []record // by offset, none overlapping
	size    int64
	cut     bool // it ends without a last record: others may be missing
}

type record struct {
	off, size int64 // in the file it stands for
	at        int64 // in the flattened one
}

func (r record) end() int64 { return r.off + r.size }

const (
	flatHeader   = 4096
	recordHeader = 16
)

// newFlat reads where the records are. It returns nil if the file is not a
// flattened one.
func newFlat(r io.ReaderAt, size int64) (*flat, error) {
	head := make([]byte, 32)
	if n, err := r.ReadAt(head, 0); n < len(head) || !bytes.HasPrefix(head, []byte("makedumpfile\x00")) {
		if err == io.EOF {
			err = nil
		}
		return nil, err
	}
	if kind, version := binary.BigEndian.Uint64(head[16:]), binary.BigEndian.Uint64(head[24:]); kind != 1 || version != 1 {
		return nil, &FormatError{16, fmt.Sprintf("a flattened file of type %d, version %d: only 1 and 1 are known", kind, version)}
	}
	f := &flat{r: r}
	for at := int64(flatHeader); ; {
		if n, err := r.ReadAt(head[:recordHeader], at); n < recordHeader {
			if err != io.EOF {
				return nil, fmt.Errorf("record of a flattened file: %w", readError(at, err))
			}
			f.cut = true
			break
		}
		x := record{int64(binary.BigEndian.Uint64(head)), int64(binary.BigEndian.Uint64(head[8:])), at + recordHeader}
		if x.off == -1 && x.size == -1 {
			break
		}
		if x.off < 0 || x.size <= 0 || x.end() < 0 {
			return nil, &FormatError{at, fmt.Sprintf("a record of %d bytes for offset %#x cannot be in a flattened file", x.size, x.off)}
		}
		if left := size - x.at; x.size > left {
			x.size, f.cut = left, true
		}
		if x.size > 0 {
			f.records = append(f.records, x)
		}
		if f.cut {
			break
		}
		at = x.at + x.size
	}
	return f, f.sort()
}

// sort puts the records in order. Of two that overlap the later one counts.
func (f *flat) sort() error {
	written := slices.Clone(f.records)
	slices.SortFunc(f.records, func(a, b record) int { return cmp.Compare(a.off, b.off) })
	for i, x := range f.records {
		if i > 0 && x.off < f.records[i-1].end() {
			if err := f.overlay(written); err != nil {
				return err
			}
			break
		}
	}
	if n := len(f.records); n > 0 {
		f.size = f.records[n-1].end()
	}
	return nil
}

// maxOverlay is how many records may overlap: each costs a walk over all.
const maxOverlay = 1 << 14

// overlay makes the records from such as overlap, in the order of the file.
func (f *flat) overlay(written []record) error {
	if len(written) > maxOverlay {
		return &FormatError{0, fmt.Sprintf("%d records overlap in a flattened file: run makedumpfile -R on it", len(written))}
	}
	var m extent.Map[uint64, uint64]
	for _, x := range written {
		if err := m.Insert(extent.Extent[uint64, uint64]{Addr: uint64(x.off), Size: uint64(x.size), Off: uint64(x.at)}); err != nil {
			return err
		}
	}
	f.records = f.records[:0]
	for _, e := range m.Extents() {
		f.records = append(f.records, record{int64(e.Addr), int64(e.Size), int64(e.Off)})
	}
	return nil
}

// has reports whether the records give n bytes at off. Only of a file that is
// cut that says more than its size: in others zeros may be left out.
func (f *flat) has(off, n int64) bool {
	i := sort.Search(len(f.records), func(i int) bool { return f.records[i].end() > off })
	for ; n > 0 && i < len(f.records) && f.records[i].off <= off; i++ {
		n -= f.records[i].end() - off
		off = f.records[i].end()
	}
	return n <= 0
}

// ReadAt reads what the records give. Bytes between them are zero, as in the
// file that makedumpfile -R makes.
func (f *flat) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	i := sort.Search(len(f.records), func(i int) bool { return f.records[i].end() > off })
	for ; n < len(p); i++ {
		at := off + int64(n)
		if i == len(f.records) {
			return n, io.EOF
		}
		x := f.records[i]
		if gap := min(x.off-at, int64(len(p)-n)); gap > 0 {
			clear(p[n:][:gap])
			n += int(gap)
			i-- // the record again
			continue
		}
		part := p[n:min(int64(len(p)), int64(n)+x.end()-at)]
		m, err := f.r.ReadAt(part, x.at+at-x.off)
		n += m
		if m < len(part) {
			return n, err
		}
	}
	return n, nil
}
