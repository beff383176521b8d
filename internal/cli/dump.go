package cli

import (
	"encoding/json"
	"io"
	"strings"

	"guestcore/internal/monitor"
	"guestcore/internal/progress"
)

var dumpCommand = &command{
	name:    "dump",
	usage:   "[flags] CORE FILE [ARCH]",
	summary: "write the guest's memory to FILE, an ELF vmcore",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		asJSON := f.Bool("json", false, "print the result as JSON")
		format := f.String("format", "", "`NAME` of the dump's format: "+strings.Join(monitor.FormatNames(), ", "))
		level := f.Int("level", 0, "how hard to compress, a number `N` from 1, fast; 0 is the format's default")
		flattened := f.Bool("flattened", false, "write kdump in the form that needs no seeking; a pipe always gets it")
		if done, err := f.parse(e, args, 2, 3); done || err != nil {
			return err
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
		r := monitor.DumpRequest{
			File: f.arg(1), Arch: f.arg(2), Partial: src.partial,
			Format: *format, Level: *level, Flattened: *flattened,
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
