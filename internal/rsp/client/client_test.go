package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"guestcore/internal/rsp/wire"
)

// serve is a server that answers a packet as answer says, which hangs up with
// ok false. The client is past its greeting and acknowledges nothing.
func serve(t *testing.T, answer func(body string) (reply string, ok bool)) *Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer far.Close()
		dec := wire.NewRequestDecoder(1 << 16)
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			for _, b := range buf[:n] {
				e, ok := dec.Byte(b)
				if !ok || e.Kind != wire.Packet {
					continue
				}
				reply, ok := answer(string(e.Body))
				if !ok {
					return
				}
				far.Write(wire.AppendPacket(nil, []byte(reply)))
			}
			if err != nil {
				return
			}
		}
	}()
	c := New(near)
	t.Cleanup(func() { c.Close() })
	c.ack = false
	return c
}

// memory answers packets m with bytes that are the low ones of their
// addresses.
func memory(body string) (reply string, ok bool) {
	var at, n uint64
	if _, err := fmt.Sscanf(body, "m%x,%x", &at, &n); err != nil {
		return "", true
	}
	for ; n > 0; n, at = n-1, at+1 {
		reply += fmt.Sprintf("%02x", byte(at))
	}
	return reply, true
}

// TestReadEnds ends a read in its middle. The next question has its own answer
// then, none that the read still was to get.
func TestReadEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	asked := 0
	c := serve(t, func(body string) (string, bool) {
		if body == "qC" {
			return "QC1", true
		}
		if asked++; asked == 3 {
			end()
		}
		return memory(body)
	})
	p := make([]byte, 1<<16)
	n, err := c.ReadMemory(ctx, p, 0)
	if !errors.Is(err, context.Canceled) || n >= len(p) {
		t.Errorf("the read gave %d bytes and the error %v", n, err)
	}
	for i, b := range p[:n] {
		if b != byte(i) {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
	if b, err := c.Ask(t.Context(), "qC"); string(b) != "QC1" {
		t.Errorf("qC is answered with %.20q, %v", b, err)
	}
	if _, err := c.Ask(ctx, "qC"); !errors.Is(err, context.Canceled) {
		t.Errorf("a question that nobody waits for any more: %v", err)
	}
}

// TestServerLeaves has the server hang up in the middle of a read: what was not
// read is not called read.
func TestServerLeaves(t *testing.T) {
	for _, after := range []int{0, 1, 5} {
		asked := 0
		c := serve(t, func(body string) (string, bool) {
			asked++
			reply, _ := memory(body)
			return reply, asked <= after
		})
		p := make([]byte, 1<<14)
		n, err := c.ReadMemory(t.Context(), p, 0)
		if err == nil || n == len(p) {
			t.Errorf("after %d answers: %d bytes and the error %v", after, n, err)
		}
	}
}

// TestReadRefused reads up to where there is no memory.
func TestReadRefused(t *testing.T) {
	c := serve(t, func(body string) (string, bool) {
		if strings.HasPrefix(body, "m180,") {
			return "E14", true
		}
		return memory(body)
	})
	p := make([]byte, 0x300)
	n, err := c.ReadMemory(t.Context(), p, 0)
	var refused *ServerError
	if n != 0x180 || !errors.As(err, &refused) || refused.Text != "14" {
		t.Errorf("%#x bytes and the error %v", n, err)
	}
}
