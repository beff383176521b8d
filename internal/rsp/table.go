package rsp

import (
	"slices"
	"strings"
)

// packet is a line of the packet table: how requests of that name are answered.
type packet struct {
	name   string
	answer func(s *session, args string) (reply, error)
}

// on makes a line of the table from two halves: parse turns the text behind
// the name into a typed request and knows no session, answer answers it.
func on[R any](name string, parse func(args string) (R, error), answer func(*session, R) (reply, error)) packet {
	return packet{name, func(s *session, args string) (reply, error) {
		r, err := parse(args)
		if err != nil {
			return nil, err
		}
		return answer(s, r)
	}}
}

// text is the parser of packets whose arguments need no parsing.
func text(args string) (string, error) { return args, nil }

// reply is the body of an answer; nil sends none.
type reply []byte

var (
	noReply = reply(nil)
	ok      = reply("OK")
	// unsupported is the answer to a packet the server does not know. A
	// client then never sends that again.
	unsupported = reply{}
)

// constant answers every request with r.
func constant(r reply) func(*session, string) (reply, error) {
	return func(*session, string) (reply, error) { return r, nil }
}

// packetTable holds every packet that is known, by name.
func packetTable() map[string]packet {
	table := map[string]packet{}
	for _, p := range slices.Concat(
		sessionPackets,
		threadPackets,
		registerPackets,
		memoryPackets,
		searchPackets,
		resumePackets,
		xferPackets,
		hostPackets,
		symbolPackets,
		monitorPackets,
	) {
		table[p.name] = p
	}
	return table
}

// splitName cuts a request into the packet's name and its arguments. The names
// of q, Q and v packets end at a punctuation mark, which is dropped but for
// that of "vCont?"; all others are one letter long.
func splitName(body string) (name, args string) {
	if body == "" {
		return "", ""
	}
	if !strings.ContainsRune("qQv", rune(body[0])) {
		return body[:1], body[1:]
	}
	i := strings.IndexAny(body, ":;,?")
	switch {
	case i < 0:
		return body, ""
	case body[i] == '?':
		return body[:i+1], body[i+1:]
	}
	return body[:i], body[i+1:]
}

// plainText makes s safe in a body that is not escaped, and one line.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune("#$*}", r) {
			return ' '
		}
		return r
	}, s)
}
