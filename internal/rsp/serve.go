package rsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
)

// Options changes how a target is served. The zero value is the default.
type Options struct {
	Log   *slog.Logger // decisions, and panics; nil: none
	Trace *slog.Logger // every packet, at debug level, cut short; nil: none
	// Once ends [ServeAll] when its first client has left.
	Once bool
	// DisablePackets lists packets to answer as if they were not known, by
	// name ("vCont", "m", "qXfer:auxv"). It is there to test clients with.
	DisablePackets []string
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Trace == nil {
		o.Trace = slog.New(slog.DiscardHandler)
	}
	return o
}

// Serve answers one client on conn until that leaves, which is no error, or
// ctx ends. It closes conn, and waits for all it has started.
func Serve(ctx context.Context, conn io.ReadWriteCloser, t Target, o Options) error {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s := newSession(ctx, conn, t, o)
	defer s.close()
	for {
		r, err := s.link.next()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return hangup(err)
		}
		s.link.begin()
		reply := s.answer(r)
		s.link.done()
		if reply != nil {
			s.link.send(reply)
		}
	}
}

// hangup is nil for the ways in which a client leaves.
func hangup(err error) error {
	for _, left := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
		io.ErrClosedPipe, net.ErrClosed, os.ErrClosed} {
		if errors.Is(err, left) {
			return nil
		}
	}
	return fmt.Errorf("reading from gdb: %w", err)
}
