package guest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

// Zero reports whether n bytes are known to be zero without reading them,
// since nothing stores them. False says nothing.
func (im *Image) Zero(a addr.GPA, n uint64) bool {
	known := uint64(0)
	for _, e := range im.Map.Clip(a, n) {
		zero := e.Kind == extent.Zero || e.Kind == extent.Data && hole(im.Files[e.Off.File()], e.Off.Offset(), int64(e.Size))
		if !zero {
			return false
		}
		known += e.Size
	}
	return known == n
}

// hole reports whether n bytes of a source are a hole of a file.
func hole(src addr.Source, off, n int64) bool {
	f, ok := src.(*os.File)
	if !ok {
		return false
	}
	data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO: // no data from here to the end, which may come too early
		fi, err := f.Stat()
		return err == nil && fi.Size() >= off+n
	case err != nil:
		return false
	}
	return data >= off+n
}

// Where says for people where a byte is stored: "offset 0x1000 of core".
func (im *Image) Where(a addr.GPA) string {
	e, ok := im.Map.Find(a)
	if !ok || e.Kind != extent.Data {
		return "nowhere"
	}
	at := e.Off + addr.FileOff(a-e.Addr)
	return fmt.Sprintf("offset %#x of %s", at.Offset(), im.Files[at.File()].Name())
}
