package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// qmp is a QMP session: one JSON object a line each way, events in between.
type qmp struct {
	to   io.Writer
	from *bufio.Reader
}

// newQMP reads the greeting and leaves negotiation mode.
func newQMP(to io.Writer, from io.Reader) (*qmp, error) {
	q := &qmp{to: to, from: bufio.NewReader(from)}
	if _, err := q.from.ReadBytes('\n'); err != nil {
		return nil, fmt.Errorf("no greeting: %w", err)
	}
	_, err := q.call("qmp_capabilities", nil)
	return q, err
}

// call runs one command and returns what it returned.
func (q *qmp) call(command string, arguments map[string]any) (json.RawMessage, error) {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(q.to).Encode(request); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	for {
		line, err := q.from.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		var reply struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := json.Unmarshal(line, &reply); err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		switch {
		case reply.Error != nil:
			return nil, fmt.Errorf("%s: %s", command, reply.Error.Desc)
		case reply.Return != nil:
			return reply.Return, nil
		}
	}
}

// monitor runs one command of the human monitor and returns what it printed.
func (q *qmp) monitor(line string) (string, error) {
	reply, err := q.call("human-monitor-command", map[string]any{"command-line": line})
	if err != nil {
		return "", err
	}
	var text string
	err = json.Unmarshal(reply, &text)
	return text, err
}
