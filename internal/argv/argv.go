// Package argv reads the words of a command: flags, anywhere among the others,
// and the rest. It serves the program's command line and the lines of gdb's
// monitor, so that a flag is the same in both.
//
// It knows no command: whoever has one defines its flags on a [flag.FlagSet]
// and judges the words that are left.
package argv

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// New is a set of flags for a command. It prints nothing by itself.
func New(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// Parse sets the flags of fs from args, up to a "--", and returns the words
// that are no flags. A single "-" is a word. The error is [flag.ErrHelp] if
// the user asks for help, else it ends in hint, which is to say where the
// flags are listed.
func Parse(fs *flag.FlagSet, args []string, hint string) (words []string, err error) {
	for len(args) > 0 {
		if args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
			return nil, flag.ErrHelp
		}
		if args[0] == "--" {
			return append(words, args[1:]...), nil
		}
		if len(args[0]) < 2 || args[0][0] != '-' {
			words, args = append(words, args[0]), args[1:]
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		fl := fs.Lookup(name)
		if fl == nil {
			return nil, fmt.Errorf("unknown flag %s%s %s", args[0], DidYouMean(name, names(fs), "--"), hint)
		}
		n := 1 // arguments of this flag, itself included
		if b, ok := fl.Value.(interface{ IsBoolFlag() bool }); !hasValue && !(ok && b.IsBoolFlag()) {
			n = min(2, len(args))
		}
		if err := fs.Parse(args[:n]); err != nil {
			// Package flag says of a number that it has a "parse error".
			text := strings.Replace(err.Error(), "parse error", "not a number", 1)
			text = strings.Replace(text, " -"+fl.Name, " "+written(fl), 1) // it knows one dash only
			return nil, fmt.Errorf("%s: %s", text, hint)
		}
		args = args[n:]
	}
	return words, nil
}

// written is a flag's name with its dashes.
func written(fl *flag.Flag) string {
	if len(fl.Name) == 1 {
		return "-" + fl.Name
	}
	return "--" + fl.Name
}

// names are the flags that can be mistyped: single letters are like anything.
func names(fs *flag.FlagSet) []string {
	var names []string
	fs.VisitAll(func(fl *flag.Flag) {
		if len(fl.Name) > 1 {
			names = append(names, fl.Name)
		}
	})
	return names
}

// List lists the flags of fs, a line each. Those without a description are
// hidden.
func List(w io.Writer, fs *flag.FlagSet) {
	fs.VisitAll(func(fl *flag.Flag) {
		if fl.Usage == "" {
			return
		}
		value, text := flag.UnquoteUsage(fl)
		fmt.Fprintf(w, "  %-24s %s\n", strings.TrimSpace(written(fl)+" "+value), text)
	})
}
