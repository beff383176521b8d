package rig

import (
	"bufio"
	"context"
	"encoding/hex"
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
	answer, err := c.answer()
	if err != nil {
		return "", fmt.Errorf("answer to %s: %w", packet, err)
	}
	return answer, nil
}

// Monitor runs a monitor command and returns what it printed. The error is nil only if the command went well.
func (c *Client) Monitor(line string) (string, error) {
	var text []byte
	for answer, err := c.Ask("qRcmd," + hex.EncodeToString([]byte(line))); ; answer, err = c.answer() {
		if err != nil {
			return string(text), err
		}
		output, ok := strings.CutPrefix(answer, "O")
		if !ok || answer == "OK" {
			if answer != "OK" {
				err = fmt.Errorf("%s: %s: %s", line, answer, text)
			}
			return string(text), err
		}
		p, err := hex.DecodeString(output)
		if err != nil {
			return string(text), err
		}
		text = append(text, p...)
	}
}

// answer waits for a packet and acknowledges it.
func (c *Client) answer() (string, error) {
	if _, err := c.from.ReadString('$'); err != nil {
		return "", err
	}
	answer, err := c.from.ReadString('#')
	if err != nil {
		return "", fmt.Errorf("half of it: %w", err)
	}
	if _, err := c.from.Discard(2); err != nil {
		return "", fmt.Errorf("without its sum: %w", err)
	}
	_, err = c.conn.Write([]byte("+"))
	return expand(strings.TrimSuffix(answer, "#")), err
}

// expand undoes the protocol's run lengths: behind a * stands a character that is 29 more than how often the one before it
// comes again.
func expand(packet string) string {
	var b strings.Builder
	for i := 0; i < len(packet); i++ {
		if packet[i] == '*' && i > 0 && i+1 < len(packet) {
			b.WriteString(strings.Repeat(packet[i-1:i], int(packet[i+1])-29))
			i++
			continue
		}
		b.WriteByte(packet[i])
	}
	return b.String()
}
