package dump

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
)

// copyRange copies with copy_file_range(2). It returns how far it came: less
// than n when the source ends, and when the kernel does not copy between these
// files (EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, or 0 bytes from a file in /proc).
func copyRange(dst *os.File, off int64, src *os.File, srcOff, n int64) (int64, error) {
	done := int64(0)
	for done < n {
		from, to := srcOff+done, off+done
		m, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(n-done), 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return done, err
		}
		done += int64(m)
	}
	return done, nil
}

// teller is a source that is no file and can tell its zeros, as nextData does,
// unread. There is no data if all n bytes are zeros, else there is some.
type teller interface {
	NextData(off, n int64) (hole, data int64)
}

// nextData says how the next n bytes of a source begin: so many bytes of a
// hole, then so many of data, the sum at most n. One that cannot tell is all
// data. A hole that n bytes do not fit into since the file ends is an
// io.ErrUnexpectedEOF, with what there is of it.
func nextData(src addr.Source, off, n int64) (hole, data int64, err error) {
	f, ok := src.(*os.File)
	if !ok {
		if t, ok := src.(teller); ok {
			hole, data = t.NextData(off, n)
			return hole, data, nil
		}
		return 0, n, nil
	}
	fd := int(f.Fd())
	start, err := unix.Seek(fd, off, unix.SEEK_DATA)
	if err == unix.ENXIO { // a hole up to the end of the file
		size := off
		if fi, err := f.Stat(); err == nil {
			size = fi.Size()
		}
		if size < off+n {
			return max(0, size-off), 0, readError(src, max(size, off), io.EOF)
		}
		return n, 0, nil
	}
	if err != nil {
		return 0, n, nil
	}
	if start >= off+n {
		return n, 0, nil
	}
	end, err := unix.Seek(fd, start, unix.SEEK_HOLE)
	if err != nil || end <= start || end > off+n {
		end = off + n
	}
	return start - off, end - start, nil
}

func readError(src addr.Source, off int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %s at offset %#x: %w", src.Name(), off, cause(err))
}

func writeError(off int64, err error) error {
	return fmt.Errorf("writing at offset %#x: %w", off, cause(err))
}

// cause is an error of package os without the operation and the path, which
// may be that of a file no user has heard of.
func cause(err error) error {
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	if le := (*os.LinkError)(nil); errors.As(err, &le) {
		return le.Err
	}
	return err
}
