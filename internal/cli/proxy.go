package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"guestcore/internal/monitor"
	"guestcore/internal/rsp"
	"guestcore/internal/rsp/client"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

// serveProxy stands between gdb and another server: guestcore's own monitor
// commands are run here, all else is the server's.
func serveProxy(e *env, src *source, w *way, o rsp.Options, asJSON bool) error {
	ln, err := w.open(e)
	if err != nil {
		return err
	}
	defer ln.Close()
	out := e.stdout
	if w.stdio {
		out = e.stderr
	}
	if asJSON {
		if err := printJSON(out, announcement{Target: ln.Target(), Upstream: src.upstream}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "guestcore: in front of the server at %s; in gdb:\n    target remote %s\n", src.upstream, ln.Target())
	}
	e.told = nil
	return rsp.ProxyAll(e.ctx, ln, rsp.Upstream{
		Dial: func(ctx context.Context) (io.ReadWriteCloser, error) { return endpoint.Dial(ctx, src.upstream) },
		Mine: monitor.IsOwn,
		Monitor: func(ctx context.Context, c *client.Client, command string, out io.Writer) (err error) {
			opts := src.options(e, src.upstream)
			opts.Server = c
			s, err := session.Open(ctx, opts)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			for _, n := range s.Notes {
				fmt.Fprintln(out, n)
			}
			m := &monitor.Monitor{Session: s, Creator: version.String(), Log: o.Log, Once: true} // gdb may have the process go on after it
			return m.RunOwn(ctx, command, out)
		},
	}, o)
}
