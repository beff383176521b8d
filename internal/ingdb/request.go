package ingdb

import (
	"bufio"
	"strconv"
)

// request is a command as the script sends it: a byte 1, and then, each with a
// byte 0 behind it, what gdb prints for "info inferiors" and "info files", the
// command line, and the id of the process that shows the answer.
type request struct {
	shown string
	line  string
	shell int // 0: not understood
}

// maxField is the length of the longest part of a request, in bytes. What goes
// beyond is cut off.
const maxField = 1 << 20

// readRequest reads the next request. One that was broken off, by Ctrl-C in
// gdb for instance, ends where the next one begins.
func readRequest(r *bufio.Reader) (q request, err error) {
	const begin, end = 1, 0
	var fields []string
	var field []byte
	begun := false
	for len(fields) < 3 {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return q, err
		case b == begin:
			fields, field, begun = nil, nil, true
		case !begun:
		case b == end:
			fields, field = append(fields, string(field)), nil
		case len(field) < maxField:
			field = append(field, b)
		}
	}
	q = request{shown: fields[0], line: fields[1]}
	q.shell, _ = strconv.Atoi(fields[2])
	return q, nil
}
