package dump

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// FileOptions are what a user may ask of the file, whatever its format.
type FileOptions struct {
	Sync bool         // have the disk hold the file before it gets its name
	Log  *slog.Logger // nil: silent
}

// ErrNoSpace is a file system too full for a dump, seen before the first byte
// or while writing.
var ErrNoSpace = errors.New("not enough space")

// ToFile runs a job into the file at path and says what was done.
//
// A regular file appears, or is replaced, whole and only at the end: until
// then the bytes are in a file of another name beside it, which goes away on
// an error, when ctx is done, and on a panic. Of a symbolic link the target is
// written. A FIFO or a character device is written as it is, in order.
// The file is readable by its owner alone: it holds all the guest knew.
//
// Progress ends at the plan's Memory; nil is nobody watching. The error wraps
// the cause: [ErrNoSpace], io.ErrUnexpectedEOF for a source that ended early,
// context.Canceled.
func ToFile(ctx context.Context, job Job, path string, o FileOptions, p Progress) (Summary, error) {
	if p == nil {
		p = NoProgress{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	began := time.Now()
	plan := job.Plan()
	dst, err := findDestination(path)
	if err != nil {
		return Summary{}, err
	}
	o.Log.Debug("dump destination", "path", dst.path, "stream", dst.stream, "size", plan.Size, "space", plan.Space)
	var stats Stats
	if dst.stream {
		stats, err = toStream(ctx, job, dst.path, p)
	} else {
		stats, err = toRegular(ctx, job, plan, dst.path, o, p)
	}
	if err != nil {
		return Summary{}, err
	}
	return Summary{
		Path: dst.path, Format: plan.Format, Packed: plan.Packed, Memory: plan.Memory, Stats: stats,
		Elapsed: time.Since(began), Absent: plan.Absent, Remarks: plan.Remarks,
	}, nil
}

func toRegular(ctx context.Context, job Job, plan Plan, path string, o FileOptions, p Progress) (Stats, error) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	if err := checkSources(path, plan.Sources); err != nil {
		return Stats{}, err
	}
	noSpace := checkSpace(dir, plan.Space)
	// CreateTemp opens with O_EXCL and mode 0600: what is left of an earlier
	// run, or put there by somebody, is never written to.
	f, err := os.CreateTemp(dir, "."+name[:min(len(name), 200)]+".guestcore-*")
	if err != nil {
		return Stats{}, fmt.Errorf("creating a file in %s: %w", dir, cause(err))
	}
	named := false
	defer func() {
		f.Close()
		if !named {
			os.Remove(f.Name())
		}
	}()
	if noSpace != nil && (plan.Packed || !canShare(f, plan.Sources)) {
		return Stats{}, noSpace
	}
	stats, err := fillRegular(ctx, job, plan, f, o, p)
	if err != nil {
		return Stats{}, explain(err, path)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return Stats{}, fmt.Errorf("the dump is whole but cannot be named %s, give another file name: %w", path, cause(err))
	}
	named = true
	return stats, nil
}

// fillRegular writes the file and closes it: some file systems only then say
// that they are full.
func fillRegular(ctx context.Context, job Job, plan Plan, f *os.File, o FileOptions, p Progress) (Stats, error) {
	size := plan.Size
	if plan.Packed {
		size = 0 // it grows as it is written
	}
	s, err := newRegular(f, size)
	if err != nil {
		return Stats{}, err
	}
	p.Start(plan.Memory)
	if err := job.Run(ctx, s, p); err != nil {
		return Stats{}, err
	}
	stats, err := s.stats()
	if err != nil {
		return Stats{}, err
	}
	if o.Sync {
		if err := f.Sync(); err != nil {
			return Stats{}, fmt.Errorf("syncing: %w", cause(err))
		}
	}
	if err := f.Close(); err != nil {
		return Stats{}, fmt.Errorf("closing: %w", cause(err))
	}
	return stats, nil
}

func toStream(ctx context.Context, job Job, path string, p Progress) (Stats, error) {
	f, err := openStream(ctx, path)
	if err != nil {
		return Stats{}, err
	}
	defer f.Close()
	// A reader that reads no more must not keep a cancelled dump.
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	s := &stream{f: f}
	p.Start(job.Plan().Memory)
	if err := job.Run(ctx, s, p); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Stats{}, explain(err, path)
	}
	return s.stats(), nil
}

// explain says what an error means for the file at path, and what to do.
func explain(err error, path string) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%s: %w while writing: free some or give a file elsewhere: %w", path, ErrNoSpace, err)
	case errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%s: the file system, or the shell's limit on file sizes (ulimit -f), takes no file that large: give a file elsewhere: %w", path, err)
	case errors.Is(err, unix.EPIPE):
		return fmt.Errorf("%s: the reader went away before the dump was whole: %w", path, err)
	}
	return fmt.Errorf("%s not written: %w", path, err)
}
