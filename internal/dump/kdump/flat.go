package kdump

import (
	"encoding/binary"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
)

// flat is a sink that makes the flattened form of a file, which needs no
// seeking: a header of a page, then records in any order of their offsets, the
// last of which has -1 for both numbers. All are big-endian, whatever the
// guest (makedumpfile, print_data.h and makedumpfile -R).
//
//	0     "makedumpfile", 16 bytes
//	16    type 1, version 1, 8 bytes each; zeros up to 4096
//	then  offset, 8 bytes; length, 8 bytes; the bytes
type flat struct {
	dump.Sink
	at int64 // offset in the flattened file
}

const flatHeader = 4096

// flatten begins a flattened file in s.
func flatten(s dump.Sink) (*flat, error) {
	head := make([]byte, flatHeader)
	copy(head, "makedumpfile")
	binary.BigEndian.PutUint64(head[16:], 1)
	binary.BigEndian.PutUint64(head[24:], 1)
	f := &flat{Sink: s}
	return f, f.put(head)
}

// put writes p as it is.
func (f *flat) put(p []byte) error {
	n, err := f.Sink.WriteAt(p, f.at)
	f.at += int64(n)
	return err
}

// record writes the head of a record.
func (f *flat) record(off, n int64) error {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:], uint64(off))
	binary.BigEndian.PutUint64(head[8:], uint64(n))
	return f.put(head[:])
}

// end writes the last record.
func (f *flat) end() error { return f.record(-1, -1) }

// WriteAt makes a record of p.
func (f *flat) WriteAt(p []byte, off int64) (int, error) {
	if err := f.record(off, int64(len(p))); err != nil {
		return 0, err
	}
	return len(p), f.put(p)
}

// HoleAt makes records of zeros, as readers take what is in no record for a
// fault of the file.
func (f *flat) HoleAt(off, n int64) error {
	zeros := make([]byte, min(n, piece))
	for done := int64(0); done < n; done += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), n-done)], off+done); err != nil {
			return err
		}
	}
	return nil
}

// Seekable is true: a record may have any offset.
func (f *flat) Seekable() bool { return true }

// CopyAt is not what a compressed file needs.
func (f *flat) CopyAt(int64, addr.Source, int64, int64) (int64, error) {
	panic("kdump: nothing is copied")
}
