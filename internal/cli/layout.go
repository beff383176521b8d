package cli

import (
	"bytes"
	"fmt"

	"guestcore/internal/objfile"
	"guestcore/internal/qemu"
)

var layoutCommand = &command{
	name:    "layout",
	usage:   "[flags] EXE",
	summary: "print the layout of QEMU's structures out of its debug information, for --layout",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		var debugDirs list
		f.Var(&debugDirs, "debug-dir", "a `DIR` that separate debug files are looked for under; may be repeated (default /usr/lib/debug)")
		verbose := f.Bool("verbose", false, "list on stderr what this QEMU lacks")
		if done, err := f.parse(e, args, 1, 1); done || err != nil {
			return err
		}
		exe, err := objfile.Open(f.arg(0), objfile.Options{DebugDirs: debugDirs, Log: logger(e, *verbose)})
		if err != nil {
			return err
		}
		defer exe.Close()
		var out bytes.Buffer
		missing, err := qemu.WriteLayout(&out, exe)
		if err != nil {
			return err
		}
		for _, w := range exe.Warnings() {
			fmt.Fprintf(e.stderr, "guestcore: warning: %s\n", w)
		}
		if *verbose {
			for _, m := range missing {
				fmt.Fprintf(e.stderr, "guestcore: not in this QEMU: %s\n", m)
			}
		}
		_, err = out.WriteTo(e.stdout)
		return err
	},
}
