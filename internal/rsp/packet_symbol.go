package rsp

import (
	"fmt"
	"strings"
)

// The packets about symbols and thread-local variables.
var symbolPackets = []packet{
	on("qSymbol", parseSymbol, (*session).symbol),
	on("qGetTLSAddr", parseTLS, (*session).tlsAddr),
}

// symbolValue is gdb's answer to our asking for a symbol. With an empty name
// it is the offer to be asked.
type symbolValue struct {
	name  string
	addr  uint64
	found bool
}

// parseSymbol reads "VALUE:NAME"; the name is text in hex, the value empty for
// a symbol that gdb does not know.
func parseSymbol(args string) (symbolValue, error) {
	value, hexName, ok := strings.Cut(args, ":")
	if !ok {
		return symbolValue{}, fmt.Errorf("%q is not VALUE:NAME", args)
	}
	name, err := parseHexText(hexName)
	if err != nil || value == "" {
		return symbolValue{name: name}, err
	}
	addr, err := parseHex(value)
	return symbolValue{name: name, addr: addr, found: true}, err
}

// symbol takes a value and asks for the next. OK ends the questions until gdb
// offers again, which it does when it has read other files.
func (s *session) symbol(v symbolValue) (reply, error) {
	asker, isAsker := s.target.(SymbolAsker)
	if !isAsker {
		return ok, nil
	}
	switch {
	case v.name == "":
		s.symbolsAsk = asker.WantSymbols()
	case v.found:
		asker.SymbolFound(v.name, v.addr)
	}
	if len(s.symbolsAsk) == 0 {
		return ok, nil
	}
	next := s.symbolsAsk[0]
	s.symbolsAsk = s.symbolsAsk[1:]
	return appendHexText(reply("qSymbol:"), next), nil
}

// tlsVariable is a thread-local variable: where it is in its module's block.
type tlsVariable struct {
	thread          threadID
	offset, linkMap uint64
}

func parseTLS(args string) (tlsVariable, error) {
	id, rest, _ := strings.Cut(args, ",")
	t, err := parseThreadID(id)
	if err != nil {
		return tlsVariable{}, err
	}
	v := tlsVariable{thread: t}
	return v, cutInts(rest, &v.offset, &v.linkMap)
}

func (s *session) tlsAddr(v tlsVariable) (reply, error) {
	r, isResolver := s.target.(TLSResolver)
	if !isResolver {
		return unsupported, nil
	}
	t, err := s.find(v.thread)
	if err != nil {
		return nil, err
	}
	addr, err := r.TLSAddr(t, v.offset, v.linkMap)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x", addr), nil
}
