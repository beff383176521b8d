package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

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
		r, err := dumpArgs.Request(f.args[1:])
		if err != nil {
			return usagef("%v", err)
		}
		src.partial = r.Partial // of a core too
		answers := e.stdout
		if r.File == "-" {
			r.To, answers = e.stdout, e.stderr
		}
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
