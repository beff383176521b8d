// Package monitor is the commands a user types behind gdb's "monitor": it
// parses a line, runs the command and writes its answer. The command line
// program runs the same commands, so that both say the same.
//
// It knows no protocol and no terminal. What it asks comes from package
// session below.
package monitor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"guestcore/internal/session"
)

// Monitor runs commands on a session. Its methods are called by one goroutine
// at a time.
type Monitor struct {
	Session *session.Session
	// Creator is the program's name and version, for the files it writes.
	Creator string
	Log     *slog.Logger // nil: silent
	// Leaving says what becomes of a detached dump when gdb leaves, where that
	// needs saying.
	Leaving string
	// Once is for a Monitor that runs one command only: it has none later that
	// could tell of a detached dump, so a dump is waited for.
	Once bool

	last *dumping // the last dump begun, nil: none was
}

// command is one command.
type command struct {
	name    string // one or two words
	usage   string // its arguments
	summary string // one line
	help    string // more, for help NAME
	run     func(m *Monitor, ctx context.Context, args []string, out io.Writer) error
}

// commands in the order of the help. A new one is a line here and a file of
// its own.
func commands() []command {
	return []command{
		dumpCommand,
		infoDump,
		cancelDump,
		infoFlatView,
		infoRAMBlocks,
		infoMachine,
		infoKernel,
		infoCPUs,
		infoRegisters,
		infoSymbols,
		helpCommand,
	}
}

// Run runs one command line. What it has to say goes to out, while it runs;
// the error is for the user and makes the command fail in gdb.
func (m *Monitor) Run(ctx context.Context, line string, out io.Writer) error {
	words, err := split(line)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return list(out, commands())
	}
	c, args, err := find(words)
	if err != nil {
		return err
	}
	return c.run(m, ctx, args, out)
}

// find finds the command that words begin with. A unique beginning of a name
// is enough, as in gdb.
func find(words []string) (c command, args []string, err error) {
	var found []command
	used := 0
	for _, c := range commands() {
		name := strings.Fields(c.name)
		if len(name) > len(words) {
			continue
		}
		if slices.Equal(name, words[:len(name)]) {
			return c, words[len(name):], nil
		}
		if slices.EqualFunc(name, words[:len(name)], isBeginning) {
			found, used = append(found, c), len(name)
		}
	}
	line := strings.Join(words, " ")
	switch len(found) {
	case 1:
		return found[0], words[used:], nil
	case 0:
		known := group(words[0])
		if len(known) == 0 {
			known = commands()
		}
		return command{}, nil, fmt.Errorf("unknown command %q: there are %s; \"help\" says what they do", line, names(known))
	}
	return command{}, nil, fmt.Errorf("%q could be %s", line, names(found))
}

// isBeginning reports whether a command's word may be shortened to what the
// user typed.
func isBeginning(word, typed string) bool { return typed != "" && strings.HasPrefix(word, typed) }

// group is the commands of two words that begin with a word, or with the
// beginning of one: all of info's.
func group(word string) []command {
	return slices.DeleteFunc(commands(), func(c command) bool {
		first, _, two := strings.Cut(c.name, " ")
		return !two || !isBeginning(first, word)
	})
}

func names(cs []command) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.name)
	}
	return strings.Join(out, ", ")
}

var helpCommand = command{
	name:    "help",
	usage:   "[COMMAND]",
	summary: "list the commands, or explain one",
}

func init() { // runs find, which lists helpCommand
	helpCommand.run = func(_ *Monitor, _ context.Context, args []string, out io.Writer) error {
		if len(args) == 0 {
			return list(out, commands())
		}
		if g := group(args[0]); len(g) > 0 && len(args) == 1 {
			return list(out, g)
		}
		c, rest, err := find(args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return fmt.Errorf("unknown command %q: there are %s", strings.Join(args, " "), names(commands()))
		}
		fmt.Fprintf(out, "%s\n%s\n", c.synopsis(), sentence(c.summary))
		if c.help != "" {
			fmt.Fprintf(out, "\n%s\n", strings.TrimSpace(c.help))
		}
		return nil
	}
}

// synopsis is how the command is typed.
func (c command) synopsis() string { return strings.TrimSpace(c.name + " " + c.usage) }

// list lists commands with their summaries.
func list(out io.Writer, cs []command) error {
	for _, c := range cs {
		left := c.synopsis()
		if len(left) > 30 {
			fmt.Fprintf(out, "%s\n%-32s%s\n", left, "", c.summary)
			continue
		}
		fmt.Fprintf(out, "%-32s%s\n", left, c.summary)
	}
	return nil
}

// sentence is s with a capital and a full stop.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// noArguments refuses arguments of a command that takes none.
func noArguments(name string, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, not %q", name, strings.Join(args, " "))
	}
	return nil
}
