package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"guestcore/internal/dump"
	"guestcore/internal/monitor"
	"guestcore/internal/progress"
	"guestcore/internal/version"
)

var dumpCommand = &command{
	name:    "dump",
	usage:   "[flags] CORE " + monitor.DumpUsage,
	summary: "write the guest's memory to FILE, a vmcore; - is standard output",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		asJSON := f.Bool("json", false, "print the result as JSON")
		dumpArgs := monitor.NewDumpArgs(f.FlagSet)
		if done, err := f.parse(e, args, 2, 5); done || err != nil {
			return err
		}
		r, answers, err := e.request(dumpArgs, f.args[1:]...)
		if err != nil {
			return err
		}
		src.partial = r.Partial // of a core too
		show, stop := showProgress(e, *asJSON)
		defer stop()
		src.show = show
		s, err := src.open(e, f.arg(0))
		if err != nil {
			return err
		}
		defer s.Close()
		m := &monitor.Monitor{Session: s, Creator: version.String(), Log: logger(e, src.verbose)}
		out := io.Writer(answers)
		if *asJSON {
			out = io.Discard
		}
		res, err := m.Dump(e.ctx, r, out, show)
		letGo(e, s) // before the result, which may be long in printing
		if err != nil || !*asJSON {
			return err
		}
		return printJSON(answers, res)
	},
}

// request is what words ask of a dump, refused if none can be made whatever the
// source is. answers is for what there is to say: standard output, unless the
// dump goes there.
func (e *env) request(a *monitor.DumpArgs, words ...string) (r monitor.DumpRequest, answers *os.File, err error) {
	if r, err = a.Request(words); err != nil {
		return r, nil, usagef("%v", err)
	}
	if r.File == "-" {
		r.To = e.stdout
		return r, e.stderr, nil
	}
	return r, e.stdout, dump.CheckPath(r.File)
}

// showProgress is how a command shows how far it is, on stderr: a bar or lines, or
// JSON, and at SIGUSR1 a line.
func showProgress(e *env, asJSON bool) (_ progress.Renderer, stop func()) {
	line := progress.Lines(func(line string) { fmt.Fprintln(e.stderr, line) })
	show := progress.ForFile(e.stderr)
	if asJSON {
		show, line = progress.JSON(e.stderr), progress.JSON(e.stderr)
	}
	ask := make(chan os.Signal, 1)
	signal.Notify(ask, syscall.SIGUSR1)
	return progress.OnSignal(show, ask, line), func() { signal.Stop(ask) }
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
