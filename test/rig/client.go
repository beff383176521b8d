package rig

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

const answerLimit = 10 * time.Second

// Client speaks just enough of gdb's remote protocol to see whether a server answers.
type Client struct {
	conn net.Conn
	from *bufio.Reader
}

// Connect connects to a server on TCP.
func (s *Server) Connect(ctx context.Context) (*Client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, from: bufio.NewReader(conn)}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Ask sends one packet, waits for the answer, acknowledges it and returns it.
func (c *Client) Ask(packet string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return "", err
	}
	var sum byte
	for _, b := range []byte(packet) {
		sum += b
	}
	if _, err := fmt.Fprintf(c.conn, "$%s#%02x", packet, sum); err != nil {
		return "", err
	}
	if _, err := c.from.ReadString('$'); err != nil {
		return "", fmt.Errorf("no answer to %s: %w", packet, err)
	}
	answer, err := c.from.ReadString('#')
	if err != nil {
		return "", fmt.Errorf("half an answer to %s: %w", packet, err)
	}
	if _, err := c.from.Discard(2); err != nil {
		return "", fmt.Errorf("an answer to %s without its sum: %w", packet, err)
	}
	_, err = c.conn.Write([]byte("+"))
	return strings.TrimSuffix(answer, "#"), err
}
