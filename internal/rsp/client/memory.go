package client

import (
	"context"
	"encoding/hex"
	"fmt"

	"guestcore/internal/rsp/wire"
)

// inFlight is how many requests are on their way at a time where the server
// does not acknowledge: enough to fill a network's delay.
const inFlight = 8

// ReadMemory reads memory into p, and returns how much of it was readable from
// the start on. The error says why there is not more. Replies that are owed
// when ctx ends are waited for.
func (c *Client) ReadMemory(ctx context.Context, p []byte, addr uint64) (int, error) {
	binary := c.Features["binary-upload"] == "+"
	piece := c.PacketSize/2 - 8 // hex digits, or bytes each of which may need an escape
	letter := "m"
	if binary {
		letter = "x"
	}
	most := 1
	if !c.ack {
		most = inFlight
	}
	var pending []int // the lengths asked for
	asked, got := 0, 0
	var failed error
	for got < len(p) || len(pending) > 0 {
		if failed == nil && ctx.Err() != nil {
			failed = context.Cause(ctx)
		}
		for failed == nil && asked < len(p) && len(pending) < most {
			n := min(piece, len(p)-asked)
			if err := c.Send(fmt.Appendf(nil, "%s%x,%x", letter, addr+uint64(asked), n)); err != nil {
				return got, err
			}
			asked += n
			pending = append(pending, n)
		}
		if len(pending) == 0 {
			break
		}
		b, err := c.packet()
		if err != nil {
			return got, err // what is on its way will not come
		}
		want := pending[0]
		pending = pending[1:]
		if failed != nil {
			continue
		}
		if err = refusal(b); err == nil {
			b, err = c.decode(b, binary)
		} else {
			b = nil
		}
		n := copy(p[got:got+want], b)
		got += n
		if err == nil && n < want {
			err = fmt.Errorf("no memory at %#x", addr+uint64(got))
		}
		failed = err
	}
	return got, failed
}

// decode is the memory in a reply.
func (c *Client) decode(b []byte, binary bool) ([]byte, error) {
	if !binary {
		p := make([]byte, hex.DecodedLen(len(b)))
		n, err := hex.Decode(p, b)
		return p[:n], err
	}
	if b[0] != 'b' {
		return nil, fmt.Errorf("a reply to x begins with %q", b[0])
	}
	return wire.Unescape(b[1:])
}
