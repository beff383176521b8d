package session

import (
	"context"
	"io"

	"guestcore/internal/gdbtarget"
	"guestcore/internal/rsp"
)

// Target is the process as gdb sees it; monitor runs what the user types
// behind gdb's "monitor". The target lives as long as the session.
func (s *Session) Target(monitor func(ctx context.Context, command string, out io.Writer) error) (rsp.Target, error) {
	return gdbtarget.New(s.Process, gdbtarget.Options{
		ExePath:     s.ExePath,
		Sysroot:     s.opts.Sysroot,
		Monitor:     monitor,
		Live:        s.exeLink != "",
		WantSymbols: s.WantSymbols,
		SymbolFound: s.SymbolFound,
		Log:         s.opts.Log,
	})
}
