package dump

import (
	"context"
	"errors"
	"log/slog"
)

// FileOptions are what a user may ask of the file, whatever its format.
type FileOptions struct {
	Sync bool         // have the disk hold the file before it gets its name
	Log  *slog.Logger // nil: silent
}

// ToFile runs a job into the file at path and says what was done.
//
// A regular file appears, or is replaced, whole and only at the end: until
// then the bytes are in a file of another name beside it, which goes away on
// an error, when ctx is done, and on a panic. Of a symbolic link the target is
// written. A FIFO or a character device is written as it is, in order.
// The file is readable by its owner alone: it holds all the guest knew.
func ToFile(ctx context.Context, job Job, path string, o FileOptions, p Progress) (Summary, error) {
	return Summary{}, errors.New("not yet")
}
