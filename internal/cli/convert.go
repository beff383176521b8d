package cli

import (
	"errors"
	"fmt"
	"io"

	"guestcore/internal/corefile"
	"guestcore/internal/dumpfile"
	"guestcore/internal/monitor"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

var convertCommand = &command{
	name:    "convert",
	usage:   "[flags] DUMP... FILE",
	summary: "write a dump in another format; several are the parts of a split one",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		arch := f.arch()
		fix := f.Bool("fix", false, "put right what is known to be wrong in the dump: phys_base in kdump files of QEMU's")
		asJSON := f.Bool("json", false, "print the result as JSON")
		verbose := f.Bool("verbose", false, "say on stderr what is decided, and why")
		dumpArgs := monitor.NewDumpArgs(f.FlagSet)
		if done, err := f.parse(e, args, 2, maxParts+1); done || err != nil {
			return err
		}
		dumps, to := f.args[:len(f.args)-1], f.args[len(f.args)-1]
		r, answers, err := e.request(dumpArgs, to)
		if err != nil {
			return err
		}
		r.Arch = string(*arch)
		r.StaleRegisters = true // what the dump has of them is there, and labelled, since somebody wanted it
		show, stop := showProgress(e, *asJSON)
		defer stop()
		s, err := session.Open(e.ctx, session.Options{Dump: dumps, Fix: *fix, Log: logger(e, *verbose)})
		if err != nil {
			return notToConvert(dumps[0], err)
		}
		defer s.Close()
		for _, n := range s.Notes {
			fmt.Fprintf(e.stderr, "guestcore: %s\n", n)
		}
		m := &monitor.Monitor{Session: s, Creator: version.String(), Log: logger(e, *verbose)}
		out := io.Writer(answers)
		if *asJSON {
			out = io.Discard
		}
		res, err := m.Dump(e.ctx, r, out, show)
		if err != nil || !*asJSON {
			return err
		}
		return printJSON(answers, res)
	},
}

// maxParts is how many files a dump may be in.
const maxParts = 1024

// notToConvert is the error of what is no dump.
func notToConvert(path string, err error) error {
	switch {
	case errors.Is(err, dumpfile.ErrProcess):
		return fmt.Errorf("%w: \"guestcore dump\" makes a dump of it", err)
	case errors.Is(err, dumpfile.ErrNotFile):
		return fmt.Errorf("%w: name a file; what comes out of a pipe has to be in one first", err)
	case errors.Is(err, dumpfile.ErrNotDump):
		if how := corefile.Compression(path); how != "" {
			return fmt.Errorf("%s is compressed, with %s: decompress a dump first; of a core \"guestcore dump\" makes one as it is", path, how)
		}
		return fmt.Errorf("%w: it begins like none of the formats that can be read; of a file with nothing but guest memory write raw:FILE, or raw:FILE@ADDRESS if that does not begin at 0", err)
	}
	return err
}
