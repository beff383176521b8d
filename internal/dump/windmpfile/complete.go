package windmpfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// CompleteHeader is the header that a complete dump of the same guest has: the
// file's own or, of a dump with a bitmap, one whose type and runs say what is
// true of a complete one. The error says that the memory is in more pieces than
// a header can list.
func (f *File) CompleteHeader() ([]byte, error) {
	b := bytes.Clone(f.Raw)
	if f.Type == Complete {
		return b, nil
	}
	l := f.layout()
	le := binary.LittleEndian
	le.PutUint32(b[l.kind:], Complete)
	if f.Listed != nil { // of what the bitmap leaves out, too
		return b, nil
	}
	if uint64(len(f.Runs)) > l.most {
		return nil, fmt.Errorf("memory is in %d pieces, of which the header of a complete dump can list %d", len(f.Runs), l.most)
	}
	put := func(at int64, v uint64) {
		var word [8]byte
		le.PutUint64(word[:], v)
		copy(b[at:at+l.word], word[:])
	}
	le.PutUint32(b[l.runs:], uint32(len(f.Runs)))
	pages := uint64(0)
	for i, r := range f.Runs {
		slot := l.runs + 2*l.word + 2*l.word*int64(i)
		put(slot, r.Addr/PageSize)
		put(slot+l.word, r.Size/PageSize)
		pages += r.Size / PageSize
	}
	put(l.runs+l.word, pages)
	return b, nil
}
