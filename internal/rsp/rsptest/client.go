// Package rsptest is the client's side of the GDB Remote Serial Protocol as
// tests need it: one packet at a time, or a whole transcript from a text file.
// It can also misbehave, as gdb sometimes does. It is no debugger.
package rsptest

import (
	"errors"
	"fmt"
	"io"
	"time"

	"guestcore/internal/rsp/wire"
)

// Patience is how long a client waits for the server.
const Patience = 10 * time.Second

// ErrSilence is returned when the server sends nothing for too long.
var ErrSilence = errors.New("the server is silent")

// Client talks to a server. It must be closed.
type Client struct {
	conn   io.ReadWriteCloser
	events chan wire.Event
}

// NewClient speaks on conn, which it owns from now on.
func NewClient(conn io.ReadWriteCloser) *Client {
	c := &Client{conn: conn, events: make(chan wire.Event, 1024)}
	go func() {
		defer close(c.events)
		dec := wire.NewReplyDecoder(1 << 24)
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			for _, b := range buf[:n] {
				if e, ok := dec.Byte(b); ok {
					c.events <- e
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// Close hangs up.
func (c *Client) Close() error {
	err := c.conn.Close()
	for range c.events {
	}
	return err
}

// Next is the next thing the server sends, io.EOF when it has hung up.
func (c *Client) Next(wait time.Duration) (wire.Event, error) {
	select {
	case e, ok := <-c.events:
		if !ok {
			return wire.Event{}, io.EOF
		}
		return e, nil
	case <-time.After(wait):
		return wire.Event{}, ErrSilence
	}
}

// Raw sends bytes as they are.
func (c *Client) Raw(p []byte) error {
	_, err := c.conn.Write(p)
	return err
}

// Send sends a packet and waits for its acknowledgement. As gdb does, it drops
// packets that come before that.
func (c *Client) Send(body string) error {
	if err := c.Raw(wire.AppendRequest(nil, []byte(body))); err != nil {
		return err
	}
	for {
		e, err := c.Next(Patience)
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the acknowledgement of %q: %w", body, err)
		case e.Kind == wire.Ack:
			return nil
		case e.Kind == wire.Nack:
			return fmt.Errorf("%q was received damaged", body)
		}
	}
}

// Receive is the body of the server's next packet, acknowledged.
// Notifications are dropped.
func (c *Client) Receive() (string, error) {
	for {
		e, err := c.Next(Patience)
		switch {
		case err != nil:
			return "", err
		case e.Kind == wire.Packet:
			return string(e.Body), c.Raw([]byte("+"))
		case e.Kind != wire.Notification:
			return "", fmt.Errorf("a packet was expected, %s came", e.Kind)
		}
	}
}

// Ask sends a request and returns the answer.
func (c *Client) Ask(body string) (string, error) {
	if err := c.Send(body); err != nil {
		return "", err
	}
	return c.Receive()
}
