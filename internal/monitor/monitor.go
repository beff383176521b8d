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
	"slices"
	"strings"

	"guestcore/internal/session"
)

// Monitor runs commands on a session.
type Monitor struct {
	Session *session.Session
	// Creator is the program's name and version, for the files it writes.
	Creator string
}

// Command is one command.
type Command struct {
	Name    string // one or two words
	Usage   string // its arguments
	Summary string // one line
	Help    string // more, for help NAME
	run     func(m *Monitor, ctx context.Context, args []string, out io.Writer) error
}

// commands in the order of the help. A new one is a line here and a file of
// its own.
func commands() []Command {
	return []Command{
		dumpCommand,
		infoFlatView,
		infoRAMBlocks,
		infoMachine,
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
		return help(out)
	}
	c, args, err := find(words)
	if err != nil {
		return err
	}
	return c.run(m, ctx, args, out)
}

// find finds the command that words begin with. A unique beginning of a name
// is enough, as in gdb.
func find(words []string) (Command, []string, error) {
	var found []Command
	used := 0
	for _, c := range commands() {
		name := strings.Fields(c.Name)
		if len(name) > len(words) {
			continue
		}
		exact := slices.Equal(name, words[:len(name)])
		if exact {
			return c, words[len(name):], nil
		}
		if slices.EqualFunc(name, words[:len(name)], strings.HasPrefix) {
			found, used = append(found, c), len(name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], words[used:], nil
	case 0:
		return Command{}, nil, fmt.Errorf("unknown command %q: the commands are %s; \"help\" says what they do", strings.Join(words, " "), names(commands()))
	}
	return Command{}, nil, fmt.Errorf("%q could be %s", strings.Join(words, " "), names(found))
}

func names(cs []Command) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Name)
	}
	return strings.Join(out, ", ")
}

var helpCommand = Command{
	Name:    "help",
	Usage:   "[COMMAND]",
	Summary: "list the commands, or explain one",
}

func init() { // runs find, which lists helpCommand
	helpCommand.run = func(_ *Monitor, _ context.Context, args []string, out io.Writer) error {
		if len(args) == 0 {
			return help(out)
		}
		c, rest, err := find(args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return fmt.Errorf("unknown command %q: the commands are %s", strings.Join(args, " "), names(commands()))
		}
		fmt.Fprintf(out, "%s %s\n%s\n", c.Name, c.Usage, sentence(c.Summary))
		if c.Help != "" {
			fmt.Fprintf(out, "\n%s\n", strings.TrimSpace(c.Help))
		}
		return nil
	}
}

// help lists the commands.
func help(out io.Writer) error {
	for _, c := range commands() {
		left := strings.TrimSpace(c.Name + " " + c.Usage)
		if len(left) > 30 {
			fmt.Fprintf(out, "%s\n%-32s%s\n", left, "", c.Summary)
			continue
		}
		fmt.Fprintf(out, "%-32s%s\n", left, c.Summary)
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
