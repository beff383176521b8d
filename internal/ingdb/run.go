package ingdb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"guestcore/internal/monitor"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

var errInterrupted = errors.New("interrupted")

// run runs a command on what gdb's current inferior is. It returns what gdb is
// to do after it.
func (s *Server) run(ctx context.Context, q request, out io.Writer) (then string, err error) {
	i, err := currentInferior(q.shown)
	if err != nil {
		return "", err
	}
	if q.line == "guestcore-load" {
		return "", s.keep(i)
	}
	if i.isRemote() && !i.isGDBServers() {
		fmt.Fprintf(out, "asking the server, %s; if it is not guestcore, put guestcore before it: guestcore serve --upstream\n", i.peer)
		return "monitor " + q.line + "\n", nil
	}
	opened, err := s.openInferior(ctx, i)
	if err != nil {
		return "", err
	}
	defer opened.Close()
	for _, w := range opened.Notes {
		fmt.Fprintln(out, w)
	}
	if q.line == "dump-guest-memory" { // nothing asked for
		q.line = "help dump-guest-memory"
	}
	m := &monitor.Monitor{Session: opened.Session, Creator: version.String(), Log: s.log, Once: true}
	if err := m.Run(ctx, q.line, out); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", err
	}
	return "", nil
}

// opened is a session, and the core it was opened on.
type opened struct {
	*session.Session
	core *held // nil: none
}

func (o opened) Close() {
	o.Session.Close()
	if o.core != nil {
		o.core.file.Close()
	}
}

// openInferior opens what an inferior is, which no server but a gdbserver of
// this machine has.
func (s *Server) openInferior(ctx context.Context, i inferior) (opened, error) {
	switch {
	case i.connection == "core":
		core, err := findCore(i)
		if err != nil {
			return opened{}, err
		}
		return s.openCore(ctx, core)
	case i.connection == "native" && i.pid > 0, i.isGDBServers(): // which have stopped it
		o, err := session.Open(ctx, session.Options{Core: session.PID(i.pid), NoStop: true, Log: s.log})
		return opened{Session: o}, err
	case i.connection == "":
		return opened{}, errors.New("gdb has no QEMU: open a core file (core-file), attach to a process (attach), or connect to one (target remote)")
	}
	return opened{}, fmt.Errorf("gdb's target %q has no QEMU: open a core file (core-file), attach to a process (attach), or connect to one (target remote)", i.connection)
}

// openCore opens a core, which it takes over, as the program does.
func (s *Server) openCore(ctx context.Context, core *held) (opened, error) {
	o, err := session.Open(ctx, session.Options{Core: core.path(), Log: s.log})
	if err != nil {
		core.file.Close()
		return opened{}, err
	}
	return opened{o, core}, nil
}
