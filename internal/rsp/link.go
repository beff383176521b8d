package rsp

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"

	"guestcore/internal/rsp/wire"
)

// packetSize is the longest body in either direction, bytes. It is told to the
// client, which from then on asks for at most half of it in one m or x packet.
// More makes gdb no faster.
const packetSize = 0x20000

// slow is how long a request may take before the client is told to go on
// waiting: gdb gives up after 2 seconds (its remotetimeout), three times.
const slow = time.Second

// link is one client's stream in the acknowledged mode of the protocol. The
// mode without acknowledgements is not offered, since a gdb that stopped
// listening to a monitor command could not be told from one that listens, and
// would take the rest of the output for the answer to its next request.
type link struct {
	conn   io.ReadWriteCloser
	events chan arrival  // from the reader; closed at the end of the stream
	quit   chan struct{} // closed when nobody takes events any more
	end    error         // why the stream ended; read it when events is closed
	trace  *slog.Logger

	early *request  // acknowledged, not yet answered
	last  []byte    // the last request's body
	acked time.Time // when that was acknowledged

	mu      sync.Mutex // the writes, which the timer does too
	frame   []byte     // the last packet as sent
	unacked bool
	sent    time.Time
	timer   *time.Timer
	waiting bool // a request is being answered
}

// arrival is something the client sent, and when it came.
type arrival struct {
	wire.Event
	at time.Time
}

// request is a packet from the client.
type request struct {
	body    []byte
	tooLong bool // and so has no body
}

func newLink(conn io.ReadWriteCloser, trace *slog.Logger) *link {
	l := &link{
		conn:   conn,
		events: make(chan arrival, 16),
		quit:   make(chan struct{}),
		trace:  trace,
	}
	l.timer = time.AfterFunc(time.Hour, l.reassure)
	l.timer.Stop()
	go l.read()
	return l
}

// close ends the stream and waits for the reader.
func (l *link) close() {
	l.conn.Close()
	close(l.quit)
	for range l.events {
	}
	l.done()
}

// read is the goroutine that takes bytes in.
func (l *link) read() {
	defer close(l.events)
	dec := wire.NewRequestDecoder(packetSize)
	buf := make([]byte, 32<<10)
	for {
		n, err := l.conn.Read(buf)
		for _, c := range buf[:n] {
			e, ok := dec.Byte(c)
			if !ok {
				continue
			}
			select {
			case l.events <- arrival{e, time.Now()}:
			case <-l.quit:
				return
			}
		}
		if err != nil {
			l.end = err
			return
		}
	}
}

// next waits for the next request and acknowledges it. The error is why the
// stream ended.
func (l *link) next() (request, error) {
	if r := l.early; r != nil {
		l.early = nil
		return *r, nil
	}
	for e := range l.events {
		if r, ok := l.take(e); ok {
			return r, nil
		}
	}
	return request{}, l.end
}

// isCopy is true for a packet that came again before we acknowledged it the
// first time: gdb got tired of waiting while something slow was going on. To
// answer it twice would put requests and answers out of step.
func (l *link) isCopy(e arrival) bool {
	return e.Kind == wire.Packet && e.at.Before(l.acked) && bytes.Equal(e.Body, l.last)
}

// take does what an event asks of the link itself. ok is true if it is a
// request: that has been acknowledged then, and the last packet sent has
// arrived or does not matter any more.
func (l *link) take(e arrival) (r request, ok bool) {
	l.traceIn(e.Event)
	if l.isCopy(e) {
		return request{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Kind {
	case wire.Ack:
		l.unacked = false
	case wire.Nack:
		// gdb also sends it when it got tired of waiting for an answer
		// that had not been sent then.
		if l.unacked && e.at.After(l.sent) {
			l.write(l.frame)
		}
	case wire.Damaged:
		l.write([]byte("-"))
	case wire.Packet, wire.TooLong:
		l.unacked = false
		l.last, l.acked = e.Body, time.Now()
		l.write([]byte("+"))
		return request{body: e.Body, tooLong: e.Kind == wire.TooLong}, true
	}
	return request{}, false
}

// send sends a packet.
func (l *link) send(body []byte) {
	l.traceOut(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frame = wire.AppendPacket(l.frame[:0], body)
	l.unacked, l.sent = true, time.Now()
	l.write(l.frame)
}

// notify sends a notification.
func (l *link) notify(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(wire.AppendNotification(nil, body))
}

// deliver sends a packet and waits until it has arrived. It is false if the
// client sent another request instead, or left.
func (l *link) deliver(body []byte) bool {
	l.send(body)
	for {
		if heard, _ := l.heard(); heard {
			return true
		}
		e, ok := <-l.events
		if !ok {
			return false
		}
		if r, ok := l.take(e); ok {
			l.early = &r
			return false
		}
	}
}

// heard is whether the last packet has been acknowledged, and how long ago it
// was sent.
func (l *link) heard() (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.unacked, time.Since(l.sent)
}

// write needs mu. An error ends the stream, which the reader then notices.
func (l *link) write(p []byte) {
	if _, err := l.conn.Write(p); err != nil {
		l.conn.Close()
	}
}

// begin and done surround the answering of a request.
//
// begin has the client told every second to go on waiting, until
// done.
func (l *link) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = true
	l.timer.Reset(slow)
}

func (l *link) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = false
	l.timer.Stop()
}

// reassure sends a notification, which gdb ignores but for its clock. An
// answer of its own would be taken for the answer.
func (l *link) reassure() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.waiting {
		return
	}
	l.write(wire.AppendNotification(nil, []byte("wait:")))
	l.timer.Reset(slow)
}

// traceLimit is how much of a body is traced, bytes.
const traceLimit = 120

func (l *link) traceIn(e wire.Event) {
	if e.Kind == wire.Packet {
		l.traceBody("from gdb", e.Body)
	} else {
		l.trace.Debug("from gdb", "event", e.Kind)
	}
}

func (l *link) traceOut(body []byte) { l.traceBody("to gdb", body) }

func (l *link) traceBody(msg string, body []byte) {
	l.trace.Debug(msg, "length", len(body), "body", string(body[:min(len(body), traceLimit)]))
}
