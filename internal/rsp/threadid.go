package rsp

import (
	"fmt"
	"strconv"
	"strings"
)

// threadID is a thread as packets name it: "pPID.TID" or "TID", in hex, where
// -1 is all and 0 any.
type threadID struct {
	pid int // 0 also if left out
	tid int
}

const allThreads = -1

func parseThreadID(s string) (threadID, error) {
	var id threadID
	tid, hasPID := strings.CutPrefix(s, "p")
	if hasPID {
		pid, rest, hasTID := strings.Cut(tid, ".")
		n, err := parseSignedHex(pid)
		if err != nil {
			return threadID{}, err
		}
		if !hasTID {
			return threadID{n, allThreads}, nil
		}
		id.pid, tid = n, rest
	}
	n, err := parseSignedHex(tid)
	if err != nil {
		return threadID{}, err
	}
	id.tid = n
	return id, nil
}

func parseSignedHex(s string) (int, error) {
	n, err := strconv.ParseInt(s, 16, 32)
	if err != nil || n < -1 {
		return 0, fmt.Errorf("%q is not the id of a process or thread", s)
	}
	return int(n), nil
}

// find is the thread that id means; any thread is the current one.
func (s *session) find(id threadID) (TID, error) {
	if id.pid > 0 && id.pid != s.pid() {
		return 0, fmt.Errorf("no process %d", id.pid)
	}
	if id.tid <= 0 {
		return s.current, nil
	}
	for _, t := range s.target.Threads() {
		if t == TID(id.tid) {
			return t, nil
		}
	}
	return 0, fmt.Errorf("no thread %d", id.tid)
}

// pid is the target's process id, never 0, which would mean any.
func (s *session) pid() int { return max(s.target.PID(), 1) }

// id writes t as the client reads it.
func (s *session) id(t TID) string {
	if s.client["multiprocess"] {
		return fmt.Sprintf("p%x.%x", s.pid(), int(t))
	}
	return strconv.FormatInt(int64(t), 16)
}
