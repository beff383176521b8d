package rsp

import (
	"fmt"
	"strings"
)

// The packets that begin and end a session.
var sessionPackets = []packet{
	on("qSupported", parseSupported, (*session).supported),
	on("?", text, (*session).stopReason),
	on("!", text, constant(ok)), // extended mode: there is nothing to extend
	on("qAttached", text, constant(reply("1"))),
	on("D", text, constant(ok)),
	on("vKill", text, constant(ok)),
	on("k", text, constant(noReply)),
	on("R", text, constant(noReply)),
}

// parseSupported lists the features that the client has.
func parseSupported(args string) (map[string]bool, error) {
	features := map[string]bool{}
	for _, f := range strings.Split(args, ";") {
		if name, has := strings.CutSuffix(f, "+"); has {
			features[name] = true
		}
	}
	return features, nil
}

// supported tells what the target can do. Nothing may be in this list that is
// answered as unsupported later: gdb then gives up the connection.
func (s *session) supported(client map[string]bool) (reply, error) {
	s.client = client
	s.xmlRead = false // on a terminal, the next client may look like this one
	features := []string{fmt.Sprintf("PacketSize=%x", packetSize)}
	for _, object := range s.xferObjects() {
		features = append(features, "qXfer:"+object+":read+")
	}
	if client["multiprocess"] {
		features = append(features, "multiprocess+")
	}
	if !s.isDisabled("vCont") {
		features = append(features, "vContSupported+")
	}
	if !s.isDisabled("x") {
		features = append(features, "binary-upload+")
	}
	if client["error-message"] {
		features = append(features, "error-message+")
	}
	return reply(strings.Join(features, ";")), nil
}

// event is why the target stands still.
type event struct {
	thread TID // 0: there is no thread
	signal Signal
}

func stop(t Target) event {
	if st, ok := t.(Stopper); ok {
		thread, signal := st.Stop()
		return event{thread, signal}
	}
	if threads := t.Threads(); len(threads) > 0 {
		return event{threads[0], SignalTrap}
	}
	return event{}
}

func (s *session) stopReason(string) (reply, error) {
	e := stop(s.target)
	if e.thread == 0 {
		return reply("W00"), nil // no process; an extended-remote gdb stays connected
	}
	s.current = e.thread
	return s.stopReply(e), nil
}

func (s *session) stopReply(e event) reply {
	return fmt.Appendf(nil, "T%02xthread:%s;", uint8(e.signal), s.id(e.thread))
}
