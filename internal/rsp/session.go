package rsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
)

// session is what is known of one client.
type session struct {
	ctx    context.Context
	link   *link
	target Target
	log    *slog.Logger

	packets  map[string]packet
	disabled []string
	client   map[string]bool // the features the client offered in qSupported

	current    TID   // the thread of the last H packet
	listing    []TID // what qsThreadInfo has still to tell
	xmlRead    bool  // the client has fetched target.xml
	xfer       object
	files      map[int]File
	symbolsAsk []string // still to be asked for by qSymbol
	space      []byte   // for memory that is read, packetSize bytes
	text       reply    // the last answer about memory, whose space the next one takes
}

func newSession(ctx context.Context, conn io.ReadWriteCloser, t Target, o Options) *session {
	s := &session{
		ctx:      ctx,
		target:   t,
		log:      o.Log,
		packets:  packetTable(),
		disabled: o.DisablePackets,
		client:   map[string]bool{},
		files:    map[int]File{},
	}
	guard(s.log, func() error {
		s.current = stop(t).thread
		return nil
	})
	s.link = newLink(conn, o.Trace)
	return s
}

func (s *session) close() {
	s.link.close()
	for _, f := range s.files {
		guard(s.log, f.Close)
	}
}

func (s *session) isDisabled(name string) bool { return slices.Contains(s.disabled, name) }

// answer is the reply to a request; nil if there is none to be sent.
func (s *session) answer(r request) reply {
	if r.tooLong {
		return reply("E01")
	}
	name, args := splitName(string(r.body))
	p, ok := s.packets[name]
	if !ok || s.isDisabled(strings.TrimSuffix(name, "?")) {
		return unsupported
	}
	var answer reply
	err := guard(s.log, func() (err error) {
		answer, err = p.answer(s, args)
		return err
	})
	if err == nil {
		return answer
	}
	s.log.Debug("request refused", "packet", name, "err", err)
	var why refusal
	if errors.As(err, &why) {
		return reply("E." + plainText(string(why)))
	}
	return reply("E01")
}

// refusal is an error whose text gdb shows. Only for answers to packets where
// all versions of gdb do so.
type refusal string

func (r refusal) Error() string { return string(r) }

// guard turns a panic of f into an error: it is our defect, but no reason to
// take a debugging session away.
func guard(log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic while answering gdb", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f()
}
