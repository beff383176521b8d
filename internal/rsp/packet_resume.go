package rsp

// The packets that would have the target run, and breakpoints.
var resumePackets = []packet{
	on("vCont?", text, constant(reply("vCont;c;C;s;S"))),
	on("vCont", text, (*session).refuseResume),
	on("c", text, (*session).refuseResume),
	on("C", text, (*session).refuseResume),
	on("s", text, (*session).refuseResume),
	on("S", text, (*session).refuseResume),
	on("Z", text, insertBreakpoint),
	on("z", text, insertBreakpoint),
}

// refuseResume says why and stops at once, where it was. An error would do
// too, but gdb shows it less well; without vCont it would not even try and say
// something else altogether.
func (s *session) refuseResume(string) (reply, error) {
	why := "the target cannot be resumed"
	if r, ok := s.target.(Refuser); ok {
		why = r.RefuseResume()
	}
	if s.current == 0 {
		return nil, refusal(why)
	}
	if !s.link.deliver(appendHexText(reply("O"), why+"\n")) {
		return noReply, nil
	}
	return s.stopReply(event{thread: s.current}), nil
}

// insertBreakpoint claims to have done it, for software breakpoints only. gdb
// inserts some of its own accord before it resumes, and would report that
// these failed rather than that the target cannot run.
func insertBreakpoint(_ *session, args string) (reply, error) {
	if len(args) > 1 && args[:2] == "0," {
		return ok, nil
	}
	return unsupported, nil
}
