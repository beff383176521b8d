package rsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"guestcore/internal/rsp/wire"
)

// Listener hands out streams, one per client. Package endpoint has some.
type Listener interface {
	// Accept waits for a client. The error is io.EOF when there will be no
	// more of them.
	Accept() (io.ReadWriteCloser, error)
	// Close has Accept return.
	Close() error
}

// busyText is what the second of two clients reads.
const busyText = "another gdb is connected to this server, disconnect that one first"

// handover is how long a client may wait for the one before it to be seen to
// have left.
const handover = 200 * time.Millisecond

// ServeAll serves the clients of ln one after another. One that comes while
// another is there is told so. ServeAll returns nil when ctx ends, when there
// are no more clients, or after the first one with [Options.Once]; it closes ln
// and waits for all it has started.
func ServeAll(ctx context.Context, ln Listener, t Target, o Options) error {
	return serveEach(ctx, ln, o, func(ctx context.Context, conn io.ReadWriteCloser) error { return Serve(ctx, conn, t, o) })
}

// serveEach is ServeAll, whatever serves a client.
func serveEach(ctx context.Context, ln Listener, o Options, serve func(context.Context, io.ReadWriteCloser) error) error {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	var visits sync.WaitGroup
	defer visits.Wait()
	defer cancel()
	defer ln.Close()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var current *visit
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, io.EOF):
			if current != nil {
				<-current.done
			}
			return nil
		case err != nil:
			return fmt.Errorf("waiting for gdb: %w", err)
		}
		if current.occupied(ctx) {
			o.Log.Info("a second gdb was turned away")
			visits.Go(func() { turnAway(ctx, conn, busyText) })
			continue
		}
		o.Log.Info("gdb connected")
		v := newVisit(conn)
		current = v
		visits.Go(func() {
			defer close(v.done)
			err := serve(ctx, v)
			o.Log.Info("gdb left", "err", err)
			if o.Once {
				cancel()
			}
		})
	}
}

// visit is the stream of the client being served.
type visit struct {
	io.ReadWriteCloser
	once sync.Once
	left chan struct{} // closed when the client has left
	done chan struct{} // closed when its session is over
}

func newVisit(conn io.ReadWriteCloser) *visit {
	return &visit{ReadWriteCloser: conn, left: make(chan struct{}), done: make(chan struct{})}
}

func (v *visit) Read(p []byte) (int, error) {
	n, err := v.ReadWriteCloser.Read(p)
	if err != nil {
		v.once.Do(func() { close(v.left) })
	}
	return n, err
}

// occupied is false when the next client can be served. gdb connects again
// right after it disconnects, so wait a moment; and if it was seen to leave,
// until the session has come to its end.
func (v *visit) occupied(ctx context.Context) bool {
	if v == nil {
		return false
	}
	select {
	case <-v.done:
		return false
	case <-v.left:
	case <-time.After(handover):
		return true
	}
	select {
	case <-v.done:
	case <-ctx.Done():
	}
	return false
}

// turnAway answers all that a client asks with the reason, until it leaves. gdb
// shows it as the answer it got to its second request, and gives up.
func turnAway(ctx context.Context, conn io.ReadWriteCloser, why string) {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	dec := wire.NewRequestDecoder(packetSize)
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		for _, c := range buf[:n] {
			e, ok := dec.Byte(c)
			if !ok || e.Kind != wire.Packet {
				continue
			}
			body := []byte("E." + plainText(why))
			if bytes.HasPrefix(e.Body, []byte("qSupported")) {
				body = nil
			}
			if _, err := conn.Write(wire.AppendPacket([]byte("+"), body)); err != nil {
				return
			}
		}
	}
}
