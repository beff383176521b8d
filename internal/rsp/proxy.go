package rsp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"guestcore/internal/rsp/client"
	"guestcore/internal/rsp/wire"
)

// Upstream is the server behind a proxy, a gdbserver for one.
type Upstream struct {
	// Dial connects to it, once for each client.
	Dial func(context.Context) (io.ReadWriteCloser, error)
	// Mine reports whether a monitor command is the proxy's to run. All
	// others are the server's.
	Mine func(command string) bool
	// Monitor runs such a command. The server stands still meanwhile and
	// answers to c alone.
	Monitor func(ctx context.Context, c *client.Client, command string, out io.Writer) error
}

// ProxyAll is [ServeAll] in front of another server: what a client asks is
// passed on to it, and its answers back. Two things are not:
//
//   - monitor commands that the proxy runs itself;
//   - the mode without acknowledgements. It is used with the server, where it
//     lets several requests be on their way, and not offered to the client: see
//     [link].
func ProxyAll(ctx context.Context, ln Listener, up Upstream, o Options) error {
	o = o.withDefaults()
	return serveEach(ctx, ln, o, func(ctx context.Context, conn io.ReadWriteCloser) error { return proxy(ctx, conn, up, o) })
}

// connecting is how long the server may take to accept a connection.
const connecting = 10 * time.Second

// proxy serves one client.
func proxy(ctx context.Context, conn io.ReadWriteCloser, up Upstream, o Options) error {
	defer conn.Close()
	dialing, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	server, err := up.Dial(dialing)
	if err != nil {
		err = fmt.Errorf("the server behind: %w", err)
		turnAway(ctx, conn, err.Error())
		return err
	}
	c := client.New(server)
	defer c.Close()
	if err := c.DropAcks(dialing); err != nil {
		return fmt.Errorf("the server behind: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	p := &passing{up: c}
	p.session = newSession(ctx, conn, &commands{p, up}, o)
	defer p.session.close()
	go func() { // a server that leaves takes the client along
		select {
		case <-c.Ended():
			conn.Close()
		case <-ctx.Done():
		}
	}()
	c.Divert(p.answer)
	for {
		r, err := p.next()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return hangup(err)
		}
		if err := p.take(r, up.Mine); err != nil {
			return fmt.Errorf("the server behind: %w", err)
		}
	}
}

// passing is a client and the server it is passed on to.
type passing struct {
	*session
	up    *client.Client
	hello atomic.Bool // the next answer is that to qSupported
}

// next is the client's next request. Interrupts go to the server at once.
func (p *passing) next() (request, error) {
	if r := p.link.early; r != nil {
		p.link.early = nil
		return *r, nil
	}
	for e := range p.link.events {
		if e.Kind == wire.Interrupt {
			if err := p.up.Interrupt(); err != nil {
				return request{}, err
			}
		}
		if r, ok := p.link.take(e); ok {
			return r, nil
		}
	}
	return request{}, p.link.end
}

// take answers a request or passes it on.
func (p *passing) take(r request, mine func(string) bool) error {
	name, args := splitName(string(r.body))
	switch {
	case r.tooLong:
		p.link.send([]byte("E01"))
		return nil
	case name == "QStartNoAckMode":
		p.link.send(unsupported)
		return nil
	case name == "qSupported":
		p.hello.Store(true)
	case name == "qRcmd":
		if command, err := parseHexText(args); err == nil && mine(command) {
			if reply := p.session.answer(r); reply != nil {
				p.link.send(reply)
			}
			return nil
		}
	}
	return p.up.Send(r.body)
}

// answer passes on what comes from the server.
func (p *passing) answer(e wire.Event) {
	switch e.Kind {
	case wire.Packet:
		body := e.Body
		if p.hello.Swap(false) {
			body = p.supported(body)
		}
		p.link.send(body)
	case wire.Notification:
		p.link.notify(e.Body)
	}
}

// supported is the server's answer to qSupported without what the proxy does
// not pass on.
func (p *passing) supported(body []byte) []byte {
	p.up.Learn(body)
	features := strings.Split(string(body), ";")
	features = slices.DeleteFunc(features, func(f string) bool { return f == "QStartNoAckMode+" })
	return []byte(strings.Join(features, ";"))
}

// commands is the target of a proxy: monitor commands, and nothing else.
type commands struct {
	*passing
	upstream Upstream
}

func (commands) PID() int       { return 0 }
func (commands) Threads() []TID { return nil }
func (commands) Registers(TID) ([]Register, error) {
	return nil, fmt.Errorf("the server behind has them")
}

func (commands) ReadMemory(TID, []byte, uint64) (int, error) {
	return 0, fmt.Errorf("the server behind has it")
}

func (c *commands) Monitor(ctx context.Context, command string, out io.Writer) error {
	c.up.Divert(nil)
	defer c.up.Divert(c.passing.answer)
	return c.upstream.Monitor(ctx, c.up, command, out)
}
