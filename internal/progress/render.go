package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lines gives each state to write as a line, without the newline. It is for
// what keeps lines, such as gdb and logs.
func Lines(write func(line string)) Renderer { return lines(write) }

type lines func(string)

func (l lines) Render(s State) { l(s.String()) }
func (l lines) End()           {}

// String is the state for people: 512.0 MiB of 1.0 GiB (50 %), 300.0 MiB/s, 2s left.
func (s State) String() string {
	line := ""
	if s.What != "" {
		line = s.What + ": "
	}
	line += fmt.Sprintf("%s of %s (%d %%), %s/s", Bytes(s.Done), Bytes(s.Total), s.Percent(), Bytes(s.Rate()))
	if left := s.Left().Round(time.Second); left > 0 {
		line += fmt.Sprintf(", %v left", left)
	}
	return line
}

// Bar draws each state over the last one, on the terminal w.
func Bar(w io.Writer) Renderer { return bar{w} }

type bar struct{ w io.Writer }

const (
	barWidth  = 24
	eraseLine = "\r\x1b[K" // back to the first column, erase the line
)

func (b bar) Render(s State) {
	full := min(max(s.Percent(), 0), 100) * barWidth / 100
	fmt.Fprintf(b.w, "%s[%s%s] %v", eraseLine, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), s)
}

func (b bar) End() { io.WriteString(b.w, eraseLine) }

// JSON writes each state as an object on a line of its own:
//
//	{"progress":{"done":536870912,"total":1073741824,"seconds":1.7}}
func JSON(w io.Writer) Renderer { return jsonLines{w} }

type jsonLines struct{ w io.Writer }

func (j jsonLines) Render(s State) {
	type progress struct {
		What    string  `json:"what,omitempty"`
		Done    int64   `json:"done"`  // bytes
		Total   int64   `json:"total"` // bytes
		Seconds float64 `json:"seconds"`
	}
	line, err := json.Marshal(map[string]progress{"progress": {s.What, s.Done, s.Total, s.Elapsed.Seconds()}})
	if err != nil {
		panic(err) // a text, and numbers that are always finite
	}
	j.w.Write(append(line, '\n'))
}

func (j jsonLines) End() {}

// ForFile is a bar when f is a terminal, lines otherwise.
func ForFile(f *os.File) Renderer {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
		return Bar(f)
	}
	return Lines(func(line string) { fmt.Fprintln(f, line) })
}

// Bytes is a size for people, in binary units.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1023.95 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[u])
}
