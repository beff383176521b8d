package wire

import "fmt"

// Kind says what arrived.
type Kind uint8

const (
	// Packet is a whole packet with the right checksum.
	Packet Kind = iota + 1
	// Notification is the same, sent without being asked for.
	Notification
	// Damaged is a packet with a wrong checksum; it has no body.
	Damaged
	// TooLong is a packet over the decoder's limit; it has no body.
	TooLong
	// Ack is a "+".
	Ack
	// Nack is a "-".
	Nack
	// Interrupt is a 0x03 outside of a packet.
	Interrupt
)

func (k Kind) String() string {
	names := [...]string{"none", "packet", "notification", "damaged", "too long", "ack", "nack", "interrupt"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Event is what a byte completed.
type Event struct {
	Kind Kind
	Body []byte // of a Packet or Notification; escapes are still in it
}

// Decoder finds packets in a stream of bytes. What lies between them is
// dropped. Make one with [NewRequestDecoder] or [NewReplyDecoder].
type Decoder struct {
	limit   int
	replies bool

	state state
	kind  Kind // Packet or Notification
	body  []byte
	over  bool // the body passed the limit
	sum   byte // of the bytes so far
	want  byte // high half of the checksum in the packet
}

type state uint8

const (
	between state = iota
	inBody
	inRepeat // behind a repeat sign
	inSum
	inSumLow
)

// NewRequestDecoder decodes what a client sends. Bodies longer than limit are
// not kept.
func NewRequestDecoder(limit int) *Decoder { return &Decoder{limit: limit} }

// NewReplyDecoder decodes what a server sends: there are notifications, and
// runs are encoded. limit is that of the expanded body.
func NewReplyDecoder(limit int) *Decoder { return &Decoder{limit: limit, replies: true} }

// Byte takes the next byte of the stream. ok is false if it completed nothing.
// The event's body is the caller's.
func (d *Decoder) Byte(c byte) (e Event, ok bool) {
	switch d.state {
	case between:
		return d.outside(c)
	case inBody:
		d.inside(c)
	case inRepeat:
		d.sum += c
		d.expand(c)
		d.state = inBody
	case inSum:
		d.want, d.state = c, inSumLow
	case inSumLow:
		d.state = between
		return d.finish(c), true
	}
	return Event{}, false
}

func (d *Decoder) outside(c byte) (Event, bool) {
	switch {
	case c == '$':
		d.start(Packet)
	case c == '%' && d.replies:
		d.start(Notification)
	case c == '+':
		return Event{Kind: Ack}, true
	case c == '-':
		return Event{Kind: Nack}, true
	case c == interrupt && !d.replies:
		return Event{Kind: Interrupt}, true
	}
	return Event{}, false
}

func (d *Decoder) start(k Kind) {
	d.state, d.kind, d.body, d.over, d.sum = inBody, k, nil, false, 0
}

func (d *Decoder) inside(c byte) {
	switch {
	case c == '#':
		d.state = inSum
		return
	case c == '$':
		// Never part of a body: the end of the last packet was lost.
		d.start(Packet)
		return
	}
	d.sum += c
	if c == repeat && d.replies {
		d.state = inRepeat
		return
	}
	d.add(c, 1)
}

// expand repeats the last byte as count says. A count without a byte before
// it, or below the least one, adds nothing.
func (d *Decoder) expand(count byte) {
	if len(d.body) > 0 && count > repeatBias {
		d.add(d.body[len(d.body)-1], int(count)-repeatBias)
	}
}

func (d *Decoder) add(c byte, times int) {
	if d.over || len(d.body)+times > d.limit {
		d.over, d.body = true, nil
		return
	}
	for range times {
		d.body = append(d.body, c)
	}
}

func (d *Decoder) finish(low byte) Event {
	h, okHigh := unhex(d.want)
	l, okLow := unhex(low)
	body := d.body
	d.body = nil
	switch {
	case !okHigh || !okLow || h<<4|l != d.sum:
		return Event{Kind: Damaged}
	case d.over:
		return Event{Kind: TooLong}
	}
	return Event{Kind: d.kind, Body: body}
}
