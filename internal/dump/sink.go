package dump

import (
	"context"
	"errors"
	"fmt"
	"os"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// Sink is where a job's file goes. Offsets never go back and never overlap
// in one run unless Seekable; what is passed over reads as zero.
type Sink interface {
	// WriteAt writes bytes the job made: headers, notes, compressed pages.
	WriteAt(p []byte, off int64) (int, error)
	// CopyAt copies n bytes of src from srcOff on. It returns how many bytes
	// it dealt with before an error; a source that ends early is an
	// io.ErrUnexpectedEOF.
	CopyAt(off int64, src *os.File, srcOff, n int64) (int64, error)
	// HoleAt says that n bytes are zero.
	HoleAt(off, n int64) error
	// Seekable reports whether offsets may come in any order, from several
	// goroutines.
	Seekable() bool
}

// Stats counts the bytes of a file, in all and by how they came into it.
type Stats struct {
	Copied    int64 // moved
	Reflinked int64 // shared with the source by the file system
	Holes     int64 // not stored
	Size      int64 // length of the file
}

// chunk is the most that moves between two looks at the context, in bytes.
const chunk = 64 << 20

// CopyMemory writes a range of guest memory at off of the sink. An error
// names the guest address.
func CopyMemory(ctx context.Context, s Sink, off int64, im *guest.Image, r guest.Range, p Progress) error {
	for _, e := range im.Map.Clip(r.Addr, r.Size) {
		if err := copyExtent(ctx, s, off+int64(e.Addr-r.Addr), im, e, p); err != nil {
			return err
		}
	}
	return nil
}

func copyExtent(ctx context.Context, s Sink, off int64, im *guest.Image, e extent.Extent[addr.GPA, addr.FileOff], p Progress) error {
	for at := int64(0); at < int64(e.Size); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(chunk, int64(e.Size)-at)
		var done int64 // bytes before an error
		var err error
		switch e.Kind {
		case extent.Zero:
			err = s.HoleAt(off+at, n)
		case extent.Data:
			from := e.Off + addr.FileOff(at)
			done, err = s.CopyAt(off+at, im.Files[from.File()], from.Offset(), n)
		default:
			err = errors.New("is not in the source")
		}
		if err != nil {
			return fmt.Errorf("guest memory at %#x: %w", uint64(e.Addr)+uint64(at+done), err)
		}
		p.Add(n)
		at += n
	}
	return nil
}
