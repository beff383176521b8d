package dump

import (
	"os"

	"guestcore/internal/addr"
)

// Sink is where a job's file goes. Offsets never go back and never overlap
// in one run unless Seekable; what is passed over reads as zero.
type Sink interface {
	// WriteAt writes bytes the job made: headers, notes, compressed pages.
	WriteAt(p []byte, off int64) (int, error)
	// CopyAt copies n bytes of src from srcOff on. It returns how many bytes
	// it dealt with before an error; a source that ends early is an
	// io.ErrUnexpectedEOF.
	CopyAt(off int64, src addr.Source, srcOff, n int64) (int64, error)
	// HoleAt says that n bytes are zero.
	HoleAt(off, n int64) error
	// Seekable reports whether offsets may come in any order, from several
	// goroutines.
	Seekable() bool
}

// sharer is a Sink that may take blocks of a source without copying them.
type sharer interface {
	// ShareAt is CopyAt if that can be, and does nothing if not.
	ShareAt(off int64, src *os.File, srcOff, n int64) (shared bool, done int64, err error)
}

// Stats counts the bytes of a file, in all and by how they came into it.
type Stats struct {
	Copied    int64 // moved
	Direct    int64 // of these, written around the page cache
	Reflinked int64 // shared with the source by the file system
	Holes     int64 // zeros that are not stored
	Zeros     int64 // zeros that are
	Size      int64 // length of the file
}
