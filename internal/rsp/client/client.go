// Package client is the other side of the GDB Remote Serial Protocol: it asks
// a server, as gdb does, for memory, files and objects, and reads only.
//
// It knows neither processes nor virtual machines: packages inferior/remote
// and hypervisor make those of what it reads. The bytes of a packet are
// package wire's; the server is package rsp.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"guestcore/internal/rsp/wire"
)

var (
	// ErrUnsupported means that the server does not know a packet.
	ErrUnsupported = errors.New("the server does not support it")
	// ErrGone means that the server has closed the connection.
	ErrGone = errors.New("the server has closed the connection")
)

// ServerError is the server's refusal of a request.
type ServerError struct{ Text string } // "01", or words

func (e *ServerError) Error() string { return "the server answers with error " + e.Text }

// patience is how long a server may be silent, as gdb's remotetimeout three
// times over.
const patience = 6 * time.Second

// maxReply is the longest reply that is taken, bytes.
const maxReply = 16 << 20

// Client is a connection to a server. One goroutine asks at a time.
type Client struct {
	conn   io.ReadWriteCloser
	events chan wire.Event // for who asks
	ended  chan struct{}   // closed when the server has gone

	mu   sync.Mutex // the writes, and what follows
	ack  bool       // packets are acknowledged
	sink func(wire.Event)

	// PacketSize is the longest packet the server takes, bytes.
	PacketSize int
	// Features are what the server's qSupported lists, with the sign or the
	// value behind each name.
	Features map[string]string
}

// New speaks on conn, which it owns from now on. Nothing is asked yet.
func New(conn io.ReadWriteCloser) *Client {
	c := &Client{
		conn:       conn,
		events:     make(chan wire.Event, 64),
		ended:      make(chan struct{}),
		ack:        true,
		PacketSize: 400, // gdb's guess
		Features:   map[string]string{},
	}
	go c.read()
	return c
}

// Close hangs up.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.ended
	return err
}

// Ended is closed when the server has gone.
func (c *Client) Ended() <-chan struct{} { return c.ended }

func (c *Client) read() {
	defer close(c.ended)
	dec := wire.NewReplyDecoder(maxReply)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.conn.Read(buf)
		for _, b := range buf[:n] {
			if e, ok := dec.Byte(b); ok {
				c.deliver(e)
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver hands an event to whoever waits for it.
func (c *Client) deliver(e wire.Event) {
	c.mu.Lock()
	if c.ack && e.Kind == wire.Packet {
		c.conn.Write([]byte("+"))
	}
	if c.ack && e.Kind == wire.Damaged {
		c.conn.Write([]byte("-"))
	}
	sink := c.sink
	c.mu.Unlock()
	switch {
	case e.Kind == wire.Ack:
	case sink != nil:
		sink(e)
	default:
		select {
		case c.events <- e:
		case <-time.After(patience): // nobody wants it
		}
	}
}

// Divert sends all that comes from the server to sink, from the goroutine that
// reads; nil sends it to who asks.
func (c *Client) Divert(sink func(wire.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sink = sink
}

// Send sends a packet and waits for nothing.
func (c *Client) Send(body []byte) error { return c.write(wire.AppendRequest(nil, body)) }

// Interrupt sends what gdb sends for Ctrl-C.
func (c *Client) Interrupt() error { return c.write([]byte{3}) }

func (c *Client) write(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(p)
	return err
}

// Ask sends a packet and returns the reply: ErrUnsupported for an empty one, a
// [ServerError] for an error. Nothing is sent once ctx has ended; a reply that
// is owed is waited for all the same, or it would be taken for the next one.
func (c *Client) Ask(ctx context.Context, body string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.Send([]byte(body)); err != nil {
		return nil, err
	}
	return c.reply()
}

// first is the answer to a packet with which a connection begins: empty, or
// one that has a text in it. QEMU's gdbstub, which stops the machine for whoever
// connects, says that it has stopped before it answers (QEMU 7.2).
func (c *Client) first(ctx context.Context, body, has string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.Send([]byte(body)); err != nil {
		return nil, err
	}
	for {
		b, err := c.packet()
		if err != nil || len(b) == 0 || bytes.Contains(b, []byte(has)) {
			return b, err
		}
		if !bytes.HasPrefix(b, []byte("T")) && !bytes.HasPrefix(b, []byte("S")) {
			return nil, fmt.Errorf("an answer to %.15s is %q", body, b)
		}
	}
}

// reply waits for the next reply.
func (c *Client) reply() ([]byte, error) {
	b, err := c.packet()
	if err != nil {
		return nil, err
	}
	return b, refusal(b)
}

// refusal is the error that a reply stands for.
func refusal(b []byte) error {
	switch {
	case len(b) == 0:
		return ErrUnsupported
	case bytes.HasPrefix(b, []byte("E.")):
		return &ServerError{string(b[2:])}
	case b[0] == 'E' && len(b) == 3:
		return &ServerError{string(b[1:])}
	}
	return nil
}

// packet waits for the next packet, as long as patience lasts. Behind that it
// hangs up: what came late would be taken for the answer to something else.
func (c *Client) packet() ([]byte, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-c.events:
			switch e.Kind {
			case wire.Packet:
				return e.Body, nil
			case wire.Notification: // it says that it works on it
				timer.Reset(patience)
			case wire.TooLong:
				return nil, errors.New("the server sent a packet longer than any should be")
			}
		case <-c.ended:
			select {
			case e := <-c.events:
				if e.Kind == wire.Packet {
					return e.Body, nil
				}
			default:
			}
			return nil, ErrGone
		case <-timer.C:
			c.conn.Close()
			return nil, fmt.Errorf("the server has been silent for %v", patience)
		}
	}
}

// Hello agrees with the server on how to speak, and has it choose a thread. It
// is left out on a connection that gdb agrees on.
func (c *Client) Hello(ctx context.Context) error {
	b, err := c.first(ctx, "qSupported:multiprocess+;binary-upload+;error-message+", "PacketSize=")
	if err != nil {
		return fmt.Errorf("no GDB remote protocol there: %w", err)
	}
	c.Learn(b)
	if err := c.DropAcks(ctx); err != nil {
		return err
	}
	// Without a thread gdbserver 13.1 refuses to read what is the process's.
	_, err = c.Ask(ctx, "Hg0")
	var refused *ServerError
	if errors.Is(err, ErrUnsupported) || errors.As(err, &refused) {
		return nil // what is asked next shows what that means
	}
	return err
}

// DropAcks has neither side acknowledge packets any more, which lets several
// requests be on their way, if the server can do without.
func (c *Client) DropAcks(ctx context.Context) error {
	b, err := c.first(ctx, "QStartNoAckMode", "OK")
	if err != nil || len(b) == 0 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ack = false
	return nil
}

// Learn takes the answer to qSupported.
func (c *Client) Learn(answer []byte) {
	for item := range strings.SplitSeq(string(answer), ";") {
		name, value, ok := strings.Cut(item, "=")
		if !ok && len(item) > 1 {
			name, value = item[:len(item)-1], item[len(item)-1:]
		}
		c.Features[name] = value
	}
	if n, err := strconv.ParseUint(c.Features["PacketSize"], 16, 31); err == nil && n >= 64 {
		c.PacketSize = int(n)
	}
}
