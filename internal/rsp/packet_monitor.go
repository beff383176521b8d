package rsp

import (
	"context"
	"errors"
	"strings"
)

// The packet behind gdb's "monitor" command.
var monitorPackets = []packet{
	on("qRcmd", parseHexText, (*session).monitor),
}

// monitor runs a command. A failed one says why in its output and then fails
// by number: that is what all versions of gdb show well, and stop a script at.
func (s *session) monitor(command string) (reply, error) {
	m, isMonitor := s.target.(Monitor)
	if !isMonitor {
		return unsupported, nil
	}
	out := newConsole()
	return s.run(out, func(ctx context.Context) (reply, error) {
		stop := context.AfterFunc(ctx, out.unblock)
		defer stop()
		err := guard(s.log, func() error { return m.Monitor(ctx, command, out) })
		if err == nil {
			return ok, nil
		}
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = context.Cause(ctx)
		}
		out.unblock()
		out.line(strings.TrimRight(err.Error(), "\n"))
		return nil, err
	})
}
