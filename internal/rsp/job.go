package rsp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"guestcore/internal/rsp/wire"
)

// How a client that does not listen any more is found out. gdb sends nothing
// when the user interrupts a monitor command: it takes the next packet and then
// stops reading, so that it acknowledges no more. It therefore gets a packet at
// least every keepaliveEvery, an empty one if there is no output (which also
// keeps it from taking the silence for an error), and has ackWithin to answer.
// A command thus ends within a second.
const (
	keepaliveEvery = 100 * time.Millisecond
	ackWithin      = 700 * time.Millisecond
	lookEvery      = 50 * time.Millisecond // how exact these are
)

// Causes of a job's cancellation.
var (
	errInterrupted = errors.New("interrupted")
	errNotHeard    = fmt.Errorf("interrupted: gdb did not answer for %v", ackWithin)
	errSuperseded  = errors.New("interrupted: gdb asked for something else")
	errHungUp      = errors.New("interrupted: gdb has left")
)

// run answers a request that may take long: f works in a goroutine of its own,
// its output out goes to the client at once (nil: there is none), and its
// context ends when the client stops waiting. run returns when f has, so that
// nothing of one request is left when the next is answered; the reply is then
// noReply if nobody waits for it.
//
// A packet of output is only sent when the last one has been acknowledged.
// Thus nothing more is sent to a gdb that has stopped listening, and gdb drops
// the one packet that is already on its way while it waits for the
// acknowledgement of its next request.
func (s *session) run(out *console, f func(context.Context) (reply, error)) (reply, error) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	type result struct {
		reply reply
		err   error
	}
	finished := make(chan result, 1)
	go func() {
		var r result
		r.err = guard(s.log, func() (err error) {
			r.reply, err = f(ctx)
			return err
		})
		finished <- r
	}()

	var (
		began   = time.Now()
		res     *result
		events  = s.link.events
		ready   <-chan struct{}
		waiting = true // the client waits for the answer
	)
	if out != nil {
		ready = out.ready
		s.link.done() // the output keeps gdb waiting
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		heard, since := s.link.heard()
		since = min(since, time.Since(began))
		switch {
		case !waiting && res != nil:
			return noReply, nil
		case waiting && heard:
			if out != nil {
				if text := out.take(since >= keepaliveEvery || res != nil); len(text) > 0 {
					s.link.send(appendHexText(reply("O"), string(text)))
					continue
				}
			}
			if res != nil {
				return res.reply, res.err
			}
			if out != nil && since >= keepaliveEvery {
				s.link.send([]byte("O"))
			}
		case waiting && since > ackWithin:
			cancel(errNotHeard)
		}
		select {
		case <-ready:
		case r := <-finished:
			res = &r
		case <-tick.C:
		case e, ok := <-events:
			if !ok {
				events, waiting = nil, false
				cancel(errHungUp)
				continue
			}
			if e.Kind == wire.Interrupt {
				cancel(errInterrupted)
			}
			if r, ok := s.link.take(e); ok {
				s.link.early, waiting = &r, false
				cancel(errSuperseded)
				s.link.begin()
			}
		}
	}
}
