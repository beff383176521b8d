package ingdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"guestcore/internal/monitor"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

var errInterrupted = errors.New("interrupted")

// run runs a command on what gdb's current inferior is. It returns what gdb is
// to do after it.
func (s *Server) run(ctx context.Context, q request, out io.Writer) (then string, err error) {
	i, err := currentInferior(q.inferiors)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	opened, err := s.openInferior(ctx, i)
	if err != nil {
		return "", err
	}
	if opened == nil {
		return "monitor " + q.line + "\n", nil
	}
	defer opened.Close()
	for _, w := range opened.Notes {
		fmt.Fprintln(out, w)
	}
	if q.line == "dump-guest-memory" { // nothing asked for
		q.line = "help dump-guest-memory"
	}
	m := &monitor.Monitor{Session: opened, Creator: version.String(), Log: s.log,
		Leaving: "stay in gdb until it is: it ends with gdb"}
	if err := m.Run(ctx, q.line, out); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", err
	}
	return "", m.Finish(ctx, out)
}

// openInferior opens what an inferior is; nil for one that gdb reaches through
// a remote connection which may be guestcore's own.
func (s *Server) openInferior(ctx context.Context, i inferior) (*session.Session, error) {
	switch {
	case i.connection == "core":
		h := s.core(i.pid)
		if h == nil {
			return nil, errors.New("the core file of this gdb was not found among its open files: use core-file again")
		}
		defer h.file.Close()
		return s.open(ctx, h.path())
	case i.connection == "native" && i.pid > 0: // gdb has stopped it
		return session.Open(ctx, session.Options{Core: session.PID(i.pid), NoStop: true, Log: s.log})
	case strings.HasSuffix(i.connection, "remote"):
		return nil, nil
	}
	return nil, fmt.Errorf("gdb is not on a QEMU: open a core file (core-file), attach to a process, or connect with target remote; it is on %q", i.connection)
}

// core is the core file of a process that gdb has open, the first one if none
// tells.
func (s *Server) core(pid int) *held {
	cores := openCores(nil)
	if len(cores) == 0 {
		return nil
	}
	chosen := cores[0]
	for _, c := range cores[1:] {
		c.file.Close()
	}
	return chosen
}

// inferior is gdb's current inferior as "info inferiors" shows it.
type inferior struct {
	pid        int    // 0 if gdb does not say
	connection string // "core", "native", "remote", "extended-remote", "" for none
	peer       string // of a remote connection: "localhost:1234"
}

// currentLine is the line of the current inferior, gdb 10 and later:
//
//   - 1    process 4711      1 (core)             /usr/bin/qemu-system-x86_64
var currentLine = regexp.MustCompile(`(?m)^\*\s+\d+\s+(.*)$`)

var (
	processID  = regexp.MustCompile(`^process (\d+)`)
	connection = regexp.MustCompile(`\s\d+ \(([a-z-]+)(?: ([^)]*))?\)`)
)

func currentInferior(text string) (inferior, error) {
	line := currentLine.FindStringSubmatch(text)
	if line == nil {
		return inferior{}, fmt.Errorf("gdb's list of inferiors was not understood: %q", text)
	}
	var i inferior
	if m := processID.FindStringSubmatch(line[1]); m != nil {
		i.pid, _ = strconv.Atoi(m[1])
	}
	if m := connection.FindStringSubmatch(line[1]); m != nil {
		i.connection, i.peer = m[1], m[2]
	}
	return i, nil
}
