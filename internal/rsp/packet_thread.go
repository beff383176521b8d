package rsp

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
)

// The packets about threads.
var threadPackets = []packet{
	on("H", parseSelect, (*session).selectThread),
	on("T", parseThreadID, (*session).alive),
	on("qC", text, (*session).currentThread),
	on("qfThreadInfo", text, (*session).firstThreads),
	on("qsThreadInfo", text, (*session).nextThreads),
	on("qThreadExtraInfo", parseThreadID, (*session).threadExtra),
}

// selection is the thread for later packets; op is 'g' for those that read, 'c'
// for those that resume.
type selection struct {
	op byte
	id threadID
}

func parseSelect(args string) (selection, error) {
	if args == "" {
		return selection{}, fmt.Errorf("no operation in packet H")
	}
	id, err := parseThreadID(args[1:])
	return selection{args[0], id}, err
}

func (s *session) selectThread(sel selection) (reply, error) {
	t, err := s.find(sel.id)
	if err != nil {
		return nil, err
	}
	if sel.op == 'g' {
		s.current = t
	}
	return ok, nil
}

func (s *session) alive(id threadID) (reply, error) {
	if _, err := s.find(id); err != nil {
		return nil, err
	}
	return ok, nil
}

func (s *session) currentThread(string) (reply, error) {
	if s.current == 0 {
		return nil, fmt.Errorf("no thread")
	}
	return reply("QC" + s.id(s.current)), nil
}

func (s *session) firstThreads(string) (reply, error) {
	s.listing = s.target.Threads()
	return s.nextThreads("")
}

// nextThreads tells as many threads as fit, and then the end.
func (s *session) nextThreads(string) (reply, error) {
	const longest = len("p7fffffff.7fffffff,")
	if len(s.listing) == 0 {
		return reply("l"), nil
	}
	r := reply("m")
	for len(s.listing) > 0 && len(r)+longest < packetSize {
		if len(r) > 1 {
			r = append(r, ',')
		}
		r = append(r, s.id(s.listing[0])...)
		s.listing = s.listing[1:]
	}
	return r, nil
}

func (s *session) threadInfo(t TID) ThreadInfo {
	if ti, ok := s.target.(ThreadInformer); ok {
		return ti.ThreadInfo(t)
	}
	return ThreadInfo{}
}

func (s *session) threadExtra(id threadID) (reply, error) {
	t, err := s.find(id)
	if err != nil {
		return nil, err
	}
	info := s.threadInfo(t)
	if info.Extra == "" {
		// Here is no other place for the name.
		info.Extra = info.Name
	}
	return appendHexText(reply{}, info.Extra), nil
}

// threadsXML is the qXfer object "threads". gdb up to 16 does not know id_str
// and ignores it.
func (s *session) threadsXML() ([]byte, error) {
	var b bytes.Buffer
	attr := func(name, value string) {
		if value == "" {
			return
		}
		fmt.Fprintf(&b, ` %s="`, name)
		xml.EscapeText(&b, []byte(value))
		b.WriteByte('"')
	}
	b.WriteString("<threads>\n")
	for _, t := range s.target.Threads() {
		info := s.threadInfo(t)
		b.WriteString("<thread")
		attr("id", s.id(t))
		attr("name", info.Name)
		attr("handle", hex.EncodeToString(info.Handle))
		attr("id_str", info.IDStr)
		b.WriteByte('>')
		xml.EscapeText(&b, []byte(info.Extra))
		b.WriteString("</thread>\n")
	}
	b.WriteString("</threads>\n")
	return b.Bytes(), nil
}
