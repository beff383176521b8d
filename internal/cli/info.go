package cli

import (
	"errors"
	"io"
	"io/fs"

	"guestcore/internal/dump"
	"guestcore/internal/dumpfile"
	"guestcore/internal/monitor"
	"guestcore/internal/progress"
	"guestcore/internal/session"
)

var infoCommand = &command{
	name:    "info",
	usage:   "[flags] CORE|DUMP",
	summary: "describe the guest and how it was found, or what a dump is of",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		f.partial(src)
		asJSON := f.Bool("json", false, "print it as JSON")
		arch := f.arch()
		var scan dump.Scan
		monitor.NewScan(f.FlagSet, &scan)
		if done, err := f.parse(e, args, 1, 1); done || err != nil {
			return err
		}
		show, stop := showProgress(e, *asJSON)
		defer stop()
		src.show = show
		i := information{e, scan, show, *asJSON}
		name := f.arg(0)
		isDump, err := src.isDump(name)
		switch {
		case err != nil:
			return err
		case isDump:
			return i.ofDump(session.Options{Dump: []string{name}, Log: logger(e, src.verbose)}, string(*arch))
		}
		return i.ofQEMU(src, name)
	},
}

// isDump reports whether a file is a dump of a guest. The error is what is
// wrong with one.
func (s *source) isDump(name string) (bool, error) {
	if s.pid > 0 || s.upstream != "" {
		return false, nil
	}
	f, err := dumpfile.OpenNamed(name)
	switch {
	case err == nil:
		return true, f.Close()
	case errors.Is(err, dumpfile.ErrNotDump), errors.Is(err, fs.ErrNotExist): // coredump: is no file
		return false, nil
	}
	return false, err
}

// information is what is printed, and how.
type information struct {
	*env
	scan dump.Scan
	show progress.Renderer
	json bool
}

func (i information) ofQEMU(src *source, name string) error {
	s, err := src.open(i.env, name)
	if err != nil {
		return err
	}
	defer s.Close()
	defer letGo(i.env, s)
	m := &monitor.Monitor{Session: s}
	info, err := m.Info()
	if err != nil {
		return err
	}
	if err := info.AddKernel(i.ctx, m, i.scan, i.show); err != nil {
		return err
	}
	if i.json {
		return printJSON(i.stdout, info)
	}
	return i.print(func(w io.Writer) { monitor.PrintInfo(w, info) })
}

func (i information) ofDump(o session.Options, arch string) error {
	s, err := session.Open(i.ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	m := &monitor.Monitor{Session: s}
	info, err := m.DumpInfo(i.ctx, arch, i.scan, i.show)
	if err != nil {
		return err
	}
	if i.json {
		return printJSON(i.stdout, info)
	}
	return i.print(func(w io.Writer) { monitor.PrintDumpInfo(w, info) })
}
