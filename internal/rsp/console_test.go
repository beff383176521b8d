package rsp

import (
	"strings"
	"testing"
	"time"
)

func TestConsoleTake(t *testing.T) {
	long := strings.Repeat("x", chunkSize+10)
	for _, tt := range []struct {
		name, text string
		all        bool
		want       string
	}{
		{"nothing", "", true, ""},
		{"a line", "one\n", false, "one\n"},
		{"whole lines only", "one\ntwo\nthr", false, "one\ntwo\n"},
		{"an unfinished line waits", "on", false, ""},
		{"unless asked for", "one\ntw", true, "one\ntw"},
		{"or too long", long, false, long[:chunkSize]},
		{"lines are not cut", strings.Repeat("x", chunkSize-10) + "\nabc" + long, true, strings.Repeat("x", chunkSize-10) + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newConsole()
			c.Write([]byte(tt.text))
			if got := string(c.take(tt.all)); got != tt.want {
				t.Errorf("got %d bytes %.40q, want %d bytes %.40q", len(got), got, len(tt.want), tt.want)
			}
			var rest strings.Builder
			for {
				b := c.take(true)
				if len(b) == 0 {
					break
				}
				rest.Write(b)
			}
			if got := tt.want + rest.String(); got != tt.text {
				t.Errorf("%d of %d bytes came", len(got), len(tt.text))
			}
		})
	}
}

// A command that writes faster than gdb reads waits, until nobody reads.
func TestConsoleWaits(t *testing.T) {
	c := newConsole()
	wrote := make(chan int)
	go func() {
		for range 3 {
			n, _ := c.Write(make([]byte, consoleSize))
			wrote <- n
		}
	}()
	<-wrote
	select {
	case <-wrote:
		t.Fatal("wrote on with a full buffer")
	case <-time.After(50 * time.Millisecond):
	}
	c.take(true)
	<-wrote
	c.unblock()
	<-wrote
	if n := len(c.text); n > 3*consoleSize {
		t.Errorf("%d bytes are kept", n)
	}
}
