// Package cli is the program guestcore: its commands, their flags, what they
// print and how they end. Package gdbstub's main calls it; what the commands
// do is in packages session, monitor and rsp.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"guestcore/internal/argv"
	"guestcore/internal/version"
)

// How the program ends.
const (
	exitOK       = 0
	exitFailure  = 1   // what was asked could not be done
	exitUsage    = 2   // it was not asked for in a way that can be understood
	exitSignaled = 128 // and the number of the signal, as a shell has it: 130 for SIGINT
)

// env is what a command has of the world.
type env struct {
	ctx    context.Context // ends at SIGINT and SIGTERM
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	told   func() // what is to be done once an error has been printed; nil: nothing
}

// print prints what a command was asked for. Where nobody reads any further, as
// behind "| head", that is no error.
func (e *env) print(write func(io.Writer)) error {
	var b bytes.Buffer
	write(&b)
	if _, err := b.WriteTo(e.stdout); !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// command is one command of the program.
type command struct {
	name    string
	usage   string // its arguments
	summary string // one line
	run     func(e *env, c *command, args []string) error
}

// synopsis is how the command is typed.
func (c *command) synopsis() string { return strings.TrimSpace(c.name + " " + c.usage) }

var commands []*command

func init() {
	commands = []*command{serveCommand, dumpCommand, infoCommand, convertCommand, verifyCommand, layoutCommand, versionCommand, helpCommand}
}

// usageError is a mistake in the arguments.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// interruption is the cause of a context that a signal ended.
type interruption struct{ by syscall.Signal }

func (i *interruption) Error() string { return "interrupted" }

// Main runs the program and returns its exit status.
func Main(args []string, stdin, stdout, stderr *os.File) int {
	ctx, stop := interruptible()
	defer stop()
	e := &env{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}
	err := run(e, args)
	if err == nil {
		return exitOK
	}
	defer func() {
		if e.told != nil {
			e.told()
		}
	}()
	var usage *usageError
	var signal *interruption
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "guestcore: %v\n", err)
		return exitUsage
	case errors.As(context.Cause(ctx), &signal):
		if !errors.As(err, &signal) { // it came of the interruption, and names it less clearly
			err = signal
		}
		fmt.Fprintf(stderr, "guestcore: %v\n", err)
		return exitSignaled + int(signal.by)
	}
	fmt.Fprintf(stderr, "guestcore: %v\n", err)
	return exitFailure
}

// interruptible is a context that SIGINT, SIGTERM and SIGHUP end; a second
// signal ends the program at once. That nobody reads what is printed does not:
// a dump cut off like that would leave its temporary file.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ending := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, ending...)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		if s, ok := <-signals; ok {
			signal.Reset(ending...)
			cancel(&interruption{s.(syscall.Signal)})
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals) }
}

func run(e *env, args []string) error {
	if len(args) == 0 {
		usage(e.stderr)
		return usagef("no command given")
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		return e.print(usage)
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(e, c, args[1:])
		}
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return usagef("unknown command %q%s \"guestcore help\" lists the commands", name, argv.DidYouMean(name, names, ""))
}

func usage(w io.Writer) {
	fmt.Fprint(w, `guestcore gets the guest out of a QEMU that crashed or hangs.

`)
	width := 0
	for _, c := range commands {
		width = max(width, len(c.synopsis()))
	}
	for _, c := range commands {
		fmt.Fprintf(w, "  guestcore %-*s  %s\n", width, c.synopsis(), c.summary)
	}
	fmt.Fprint(w, `
CORE is a core file, plain or compressed (zstd, lz4, xz, gzip, bzip2), or coredump: for the newest of QEMU that
systemd-coredump keeps, or coredump:PID for that of a process. Instead of it --pid takes a QEMU that runs or hangs, and
--upstream one that a gdbserver has.

DUMP is a dump of a guest's memory, whoever made it, or raw:FILE or raw:FILE@ADDRESS for a file with nothing else.

"guestcore help COMMAND" lists a command's flags.
`)
}

var helpCommand = &command{
	name:    "help",
	usage:   "[COMMAND]",
	summary: "this text, or a command's flags",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		if done, err := f.parse(e, args, 0, 1); done || err != nil {
			return err
		}
		if len(args) == 0 {
			return e.print(usage)
		}
		return run(e, []string{f.arg(0), "--help"})
	},
}

var versionCommand = &command{
	name:    "version",
	summary: "the program's version",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		if done, err := f.parse(e, args, 0, 0); done || err != nil {
			return err
		}
		return e.print(func(w io.Writer) { fmt.Fprintln(w, version.String()) })
	},
}

// logger is a logger to stderr for --verbose, nil without.
func logger(e *env, verbose bool) *slog.Logger {
	if !verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
