// Package corefile opens the file that a core lies in: a plain one where it
// lies, a compressed one decompressed once into a sparse temporary without a
// name. Either way the caller has an [os.File] whose offsets are the core's,
// so that the kernel can copy out of it.
//
// No compressed file is read in place. The formats that could be (zstd's
// seekable one, xz of several blocks, lz4 of independent ones) are not what
// systemd-coredump writes, which is one stream from end to end, and what is
// decompressed on the way cannot be copied by the kernel.
//
// It is not a reader of cores: inferior/core is, above. Which of the cores
// that systemd keeps is meant, package systemd below this folder finds out.
package corefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"guestcore/internal/progress"
)

// Options say how to open a compressed file. The zero value is the default.
type Options struct {
	// Dir is the folder of the temporary; "": $TMPDIR, else /var/tmp.
	Dir string
	// Partial takes what can be read of a file that is cut short.
	Partial bool
	// Check refuses a file by its first bytes, decompressed, before the rest
	// is. Nil refuses none.
	Check func(io.ReaderAt) error
	// Show tells how far a decompression of more than a second is, in
	// compressed bytes. Nil: silent.
	Show progress.Renderer
}

// File is an open core file. Its Name is that of the file the user named.
type File struct {
	*os.File
	// Spool says what was decompressed, nil if the file is a plain one.
	Spool *Spool
}

// Open opens the file at path. What is compressed is told by its first bytes,
// not by its name. ctx ends a decompression.
func Open(ctx context.Context, path string, opt Options) (*File, error) {
	f, err := Regular(path)
	if err != nil {
		return nil, err
	}
	format, err := detect(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if format == nil {
		return &File{File: f}, nil
	}
	defer f.Close()
	spooled, err := spool(ctx, f, format, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spooled, nil
}

// Regular opens path if it can be a core at all.
func Regular(path string) (*os.File, error) {
	st, err := os.Stat(path) // before Open, which waits for a writer on a fifo
	if err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s: is a directory: name the core file in it", path)
	}
	if err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file: copy the core to a file first", path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("open the core as its owner, or as root: %w", err)
	}
	return f, err // the error names the path
}
