package dump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
)

// destination is where a file goes, after links were followed.
type destination struct {
	path   string // absolute
	stream bool   // a FIFO or a device
}

func (d destination) dir() string { return filepath.Dir(d.path) }

// CheckPath refuses what no dump can be written to, before the work on one
// begins. [ToFile] does so too.
func CheckPath(path string) error {
	_, err := findDestination(path)
	return err
}

// findDestination looks at path and refuses what no dump can be written to.
func findDestination(path string) (destination, error) {
	if path == "" {
		return destination{}, errors.New("no file named: give the dump a file name")
	}
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return destination{}, fmt.Errorf("%s is relative to a directory that is gone: give an absolute path: %w", path, err)
		}
		path = dir + "/" + path
	}
	// The kernel follows links first, so that its rules on who may follow
	// which (fs.protected_symlinks) hold.
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if path[len(path)-1] == '/' {
			return destination{}, fmt.Errorf("%s is no file name: add one", path)
		}
	case errors.Is(err, unix.ENOTDIR):
		return destination{}, fmt.Errorf("%s: a part of the path is a file, not a directory: give another file name", path)
	case err != nil:
		return destination{}, fmt.Errorf("%s cannot be written to: %w", path, cause(err))
	case fi.IsDir():
		return destination{}, fmt.Errorf("%s is a directory: add a file name", path)
	case fi.Mode()&fs.ModeNamedPipe != 0, fi.Mode()&fs.ModeCharDevice != 0:
		return destination{path: path, stream: true}, nil
	case !fi.Mode().IsRegular():
		return destination{}, fmt.Errorf("%s is neither a file nor a pipe (%v): give another file name", path, fi.Mode().Type())
	}
	target, err := followLinks(path)
	if err != nil {
		return destination{}, err
	}
	if fi != nil {
		// A link in /proc may lead to a file that has no name.
		if at, err := os.Lstat(target); err != nil || !os.SameFile(fi, at) {
			return destination{}, fmt.Errorf("%s leads to a file that has no name any more: give another file name", path)
		}
	}
	dir, name := filepath.Split(target) // not filepath.Dir: a/.. may not be here
	if err := checkDir(dir); err != nil {
		return destination{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return destination{}, fmt.Errorf("directory of %s: %w", target, err)
	}
	return destination{path: filepath.Join(dir, name)}, nil
}

// followLinks resolves path as long as its last element is a symbolic link.
func followLinks(path string) (string, error) {
	for range 40 { // as many as the kernel follows
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link, or not there
		}
		if !filepath.IsAbs(to) {
			dir, _ := filepath.Split(path)
			to = dir + to
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symbolic links: give the file's own name", path)
}

func checkDir(dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s: create it or give another file name", dir)
	case err != nil:
		return fmt.Errorf("directory %s: %w", dir, cause(err))
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory: give another file name", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("directory %s is not writable, give another file name: %w", dir, err)
	}
	return nil
}

// checkSpace holds what a job stores against what the file system has left.
func checkSpace(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	free := int64(st.Bavail) * st.Bsize
	if st.Blocks > 0 && need > free { // ramfs and some others do not count
		return fmt.Errorf("%w: the dump needs %d bytes (%s), %s has %d (%s) free: free %s there or give a file elsewhere; "+
			"less may do without the zero pages (--sparse=always) or compressed (--format)",
			ErrNoSpace, need, Bytes(need), dir, free, Bytes(free), Bytes(need-free))
	}
	return nil
}

// checkSources refuses to replace a file that the dump is made from.
func checkSources(path string, sources []addr.Source) error {
	fi, err := os.Stat(path)
	if err != nil {
		return nil // nothing to replace
	}
	for _, src := range sources {
		f, ok := src.(*os.File)
		if !ok {
			continue
		}
		if sfi, err := f.Stat(); err == nil && os.SameFile(fi, sfi) {
			return fmt.Errorf("%s holds the memory to be dumped (%s): give another file name", path, src.Name())
		}
	}
	return nil
}

// openStream opens a FIFO or a device for writing. A FIFO waits for its
// reader, as long as ctx lets it.
func openStream(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.ENXIO) {
			return nil, fmt.Errorf("%s cannot be written to: %w", path, cause(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s has no reader: %w", path, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
