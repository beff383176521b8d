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
	Sparse      Sparse
	Direct      Direct
	Sync        bool         // have the disk hold the file before it gets its name, and then the name
	KeepPartial bool         // leave what was written when the rest could not be
	Log         *slog.Logger // nil: silent
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
	r := newRun(ctx, job, o, p)
	dst, err := findDestination(path)
	if err != nil {
		return Summary{}, err
	}
	r.o.Log.Debug("dump destination", "path", dst.path, "stream", dst.stream, "size", r.plan.Size, "space", r.plan.Space)
	var stats Stats
	if dst.stream {
		stats, err = r.toPipe(dst.path)
	} else {
		stats, err = r.toRegular(dst.path)
	}
	return r.summary(dst.path, stats, err)
}

// run is one job on its way into one file.
type run struct {
	ctx      context.Context
	job      Job
	plan     Plan
	o        FileOptions
	progress Progress
	began    time.Time
}

func newRun(ctx context.Context, job Job, o FileOptions, p Progress) *run {
	if p == nil {
		p = NoProgress{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &run{ctx: ctx, job: job, plan: job.Plan(), o: o, progress: p, began: time.Now()}
}

func (r *run) summary(path string, stats Stats, err error) (Summary, error) {
	if err != nil {
		return Summary{}, err
	}
	return Summary{
		Path: path, Format: r.plan.Format, Packed: r.plan.Packed, Memory: r.plan.Memory, Stats: stats,
		Elapsed: time.Since(r.began), Absent: r.plan.Absent, Remarks: r.plan.Remarks,
	}, nil
}

func (r *run) toRegular(path string) (_ Stats, err error) {
	dir, name := filepath.Dir(path), filepath.Base(path)
	if err := checkSources(path, r.plan.Sources); err != nil {
		return Stats{}, err
	}
	noSpace := checkSpace(dir, r.space())
	// CreateTemp opens with O_EXCL and mode 0600: what is left of an earlier
	// run, or put there by somebody, is never written to.
	f, err := os.CreateTemp(dir, "."+name[:min(len(name), 200)]+".guestcore-*")
	if err != nil {
		return Stats{}, fmt.Errorf("creating a file in %s: %w", dir, cause(err))
	}
	named, keep := false, false
	defer func() {
		f.Close()
		switch {
		case named:
		case keep:
			err = fmt.Errorf("%w; what was written is kept in %s", err, f.Name())
		default:
			os.Remove(f.Name())
		}
	}()
	if noSpace != nil && (r.plan.Packed || r.o.Sparse == SparseNever || !canShare(f, r.plan.Sources)) {
		return Stats{}, noSpace
	}
	stats, err := r.fill(f)
	if err != nil {
		keep = r.o.KeepPartial
		return Stats{}, explain(err, path)
	}
	// Some file systems only now say that they are full.
	if err := f.Close(); err != nil {
		return Stats{}, explain(fmt.Errorf("closing: %w", cause(err)), path)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return Stats{}, fmt.Errorf("the dump is whole but cannot be named %s, give another file name: %w", path, cause(err))
	}
	named = true
	if r.o.Sync {
		if err := syncDir(dir); err != nil {
			return Stats{}, fmt.Errorf("%s is whole, but its name may not last: syncing directory %s: %w", path, dir, cause(err))
		}
	}
	return stats, nil
}

// space is what the job needs of the disk, in bytes, as far as that is known
// before memory is read.
func (r *run) space() int64 {
	switch {
	case r.plan.Packed:
		return r.plan.Space
	case r.o.Sparse == SparseNever:
		return r.plan.Size
	case r.o.Sparse == SparseAlways:
		return 0 // it may all be zero
	}
	return r.plan.Space
}

// fill writes a regular file that is empty.
func (r *run) fill(f *os.File) (Stats, error) {
	size := r.plan.Size
	if r.plan.Packed {
		size = 0 // it grows as it is written
	}
	s, err := newRegular(f, size, r.plan.Space, r.o)
	if err != nil {
		return Stats{}, err
	}
	defer s.close()
	r.progress.Start(r.plan.Memory)
	if err := r.job.Run(r.ctx, s, r.progress); err != nil {
		return Stats{}, err
	}
	if r.o.Sparse == SparseNever {
		if err := s.allocate(size); err != nil {
			return Stats{}, err
		}
	}
	if r.o.Sync {
		if err := f.Sync(); err != nil {
			return Stats{}, fmt.Errorf("syncing: %w", cause(err))
		}
	}
	return s.stats()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// toPipe writes a FIFO or a device.
func (r *run) toPipe(path string) (Stats, error) {
	f, err := openStream(r.ctx, path)
	if err != nil {
		return Stats{}, err
	}
	defer f.Close()
	return r.stream(f, path)
}

// stream writes f, which is called name, in order.
func (r *run) stream(f *os.File, name string) (Stats, error) {
	// A reader that reads no more must not keep a cancelled dump.
	stop := context.AfterFunc(r.ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	s := &stream{f: f}
	r.progress.Start(r.plan.Memory)
	if err := r.job.Run(r.ctx, s, r.progress); err != nil {
		if r.ctx.Err() != nil {
			err = context.Cause(r.ctx)
		}
		return Stats{}, explain(err, name)
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
