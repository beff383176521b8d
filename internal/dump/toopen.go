package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ToOpen runs a job into a file that is open already, such as the standard
// output, and stays so. An empty regular file is written with holes, in any
// order, and emptied again should that fail; everything else is written in
// order. A terminal is refused.
func ToOpen(ctx context.Context, job Job, f *os.File, o FileOptions, p Progress) (Summary, error) {
	r := newRun(ctx, job, o, p)
	fi, err := f.Stat()
	if err != nil {
		return Summary{}, fmt.Errorf("%s cannot be written to: %w", f.Name(), cause(err))
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
		return Summary{}, errors.New("the dump is not for a terminal: pipe it into a program or give a file name")
	}
	var stats Stats
	if fi.Mode().IsRegular() && isEmpty(f, fi) {
		stats, err = r.inPlace(f)
	} else {
		stats, err = r.toOpenStream(f, fi.Mode())
	}
	return r.summary(f.Name(), stats, err)
}

// isEmpty reports whether nothing is in a regular file and writing to it would
// begin there.
func isEmpty(f *os.File, fi os.FileInfo) bool {
	at, err := f.Seek(0, io.SeekCurrent)
	flags, ferr := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && ferr == nil && fi.Size() == 0 && at == 0 && flags&unix.O_APPEND == 0
}

// inPlace writes an empty regular file under the name it has.
func (r *run) inPlace(f *os.File) (Stats, error) {
	stats, err := r.fill(f)
	if err != nil {
		if !r.o.KeepPartial {
			f.Truncate(0)
		}
		return Stats{}, explain(err, f.Name())
	}
	_, err = f.Seek(0, io.SeekEnd) // as if it had been written in order
	return stats, err
}

// toOpenStream writes in order. A pipe is opened anew: so it can be waited for
// and that be interrupted, while who gave us the old one keeps its flags.
func (r *run) toOpenStream(f *os.File, mode os.FileMode) (Stats, error) {
	var out *os.File
	var err error
	if mode&(os.ModeNamedPipe|os.ModeCharDevice) != 0 {
		out, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY|unix.O_NONBLOCK, 0)
	}
	if out == nil {
		var fd int
		fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3) // a broken 1 or 2 would end the program
		out = os.NewFile(uintptr(fd), f.Name())
	}
	if err != nil {
		return Stats{}, fmt.Errorf("%s cannot be written to: %w", f.Name(), cause(err))
	}
	defer out.Close()
	return r.stream(out, f.Name())
}
