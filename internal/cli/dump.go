package cli

import (
	"encoding/json"
	"io"

	"guestcore/internal/monitor"
	"guestcore/internal/progress"
)

var dumpCommand = &command{
	name:    "dump",
	usage:   "[flags] CORE " + monitor.DumpUsage,
	summary: "write the guest's memory to FILE, a vmcore",
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
		s, err := src.open(e, f.arg(0))
		if err != nil {
			return err
		}
		defer s.Close()
		m := &monitor.Monitor{Session: s, Creator: Version()}
		out := io.Writer(e.stdout)
		if *asJSON {
			out = io.Discard
		}
		res, err := m.Dump(e.ctx, r, out, progress.ForFile(e.stderr))
		if err != nil || !*asJSON {
			return err
		}
		return printJSON(e.stdout, res)
	},
}

var infoCommand = &command{
	name:    "info",
	usage:   "[flags] CORE",
	summary: "describe the guest and how it was found",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		asJSON := f.Bool("json", false, "print it as JSON")
		if done, err := f.parse(e, args, 1, 1); done || err != nil {
			return err
		}
		s, err := src.open(e, f.arg(0))
		if err != nil {
			return err
		}
		defer s.Close()
		info, err := (&monitor.Monitor{Session: s}).Info()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, info)
		}
		monitor.PrintInfo(e.stdout, info)
		return nil
	},
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
