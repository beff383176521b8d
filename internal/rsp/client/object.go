package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"guestcore/internal/rsp/wire"
)

// Object reads a qXfer object, "auxv" for one.
func (c *Client) Object(ctx context.Context, object, annex string) ([]byte, error) {
	var out []byte
	for {
		b, err := c.Ask(ctx, fmt.Sprintf("qXfer:%s:read:%s:%x,%x", object, annex, len(out), c.PacketSize-8))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object, err)
		}
		part, err := wire.Unescape(b[1:])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object, err)
		}
		out = append(out, part...)
		if b[0] == 'l' {
			return out, nil
		}
		if b[0] != 'm' || len(part) == 0 || len(out) > maxReply {
			return nil, fmt.Errorf("%s: a reply of %d bytes begins with %q", object, len(b), b[0])
		}
	}
}

// ReadFile reads a file of the server's machine.
func (c *Client) ReadFile(ctx context.Context, name string) ([]byte, error) {
	fd, _, err := c.hostIO(ctx, fmt.Sprintf("vFile:open:%s,0,0", hex.EncodeToString([]byte(name))))
	if err != nil {
		return nil, fmt.Errorf("%s on the server: %w", name, err)
	}
	defer c.hostIO(context.WithoutCancel(ctx), fmt.Sprintf("vFile:close:%x", fd))
	piece := max(c.PacketSize/2-32, 16) // bytes each of which may need an escape
	var out []byte
	for {
		n, data, err := c.hostIO(ctx, fmt.Sprintf("vFile:pread:%x,%x,%x", fd, piece, len(out)))
		if err != nil {
			return nil, fmt.Errorf("%s on the server: %w", name, err)
		}
		if n == 0 {
			return out, nil
		}
		if len(data) != int(n) {
			return nil, fmt.Errorf("%s on the server: a reply of %d bytes says %d", name, len(data), n)
		}
		out = append(out, data...)
	}
}

// hostIO asks one of the vFile packets: the result, and the data behind it.
func (c *Client) hostIO(ctx context.Context, body string) (result int64, data []byte, err error) {
	b, err := c.Ask(ctx, body)
	if err != nil {
		return 0, nil, err
	}
	if b[0] != 'F' {
		return 0, nil, fmt.Errorf("a reply to %.12s begins with %q", body, b[0])
	}
	head, attachment, _ := bytes.Cut(b[1:], []byte(";"))
	number, errno, _ := bytes.Cut(head, []byte(","))
	result, err = strconv.ParseInt(string(number), 16, 64)
	if err != nil {
		return 0, nil, err
	}
	if result < 0 {
		return 0, nil, fmt.Errorf("error %s", errno)
	}
	data, err = wire.Unescape(attachment)
	return result, data, err
}

// Monitor runs one of the server's own monitor commands and returns what it
// prints.
func (c *Client) Monitor(ctx context.Context, command string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := c.Send([]byte("qRcmd," + hex.EncodeToString([]byte(command)))); err != nil {
		return nil, err
	}
	var out []byte
	for {
		b, err := c.packet()
		if err != nil {
			return nil, err
		}
		switch {
		case string(b) == "OK":
			return out, nil
		case len(b) > 0 && b[0] == 'O':
			text, err := hex.DecodeString(string(b[1:]))
			if err != nil {
				return nil, err
			}
			out = append(out, text...)
		default:
			if err := refusal(b); err != nil {
				return out, err
			}
			text, err := hex.DecodeString(string(b)) // the output as a whole
			if err != nil {
				return nil, errors.New("a reply to qRcmd was not understood")
			}
			return append(out, text...), nil
		}
	}
}
