package rsp

import (
	"bytes"
	"sync"
)

// consoleSize is how much output may wait to be sent before the command that
// writes it has to wait, bytes. chunkSize is the most that one packet takes.
const (
	consoleSize = 64 << 10
	chunkSize   = 4 << 10
)

// console is where a monitor command writes to, in its own goroutine, and the
// session takes from. Whole lines are taken as soon as the client has read the
// last packet, so that a quick command needs few packets.
type console struct {
	ready chan struct{} // there is something to take

	mu      sync.Mutex
	room    sync.Cond // space was made, or nobody waits for space any more
	text    []byte
	column0 bool // all that was ever written ended with a line end
	open    bool // writers do not wait
}

func newConsole() *console {
	c := &console{ready: make(chan struct{}, 1), column0: true}
	c.room.L = &c.mu
	return c
}

// Write never fails. It waits while the client is behind.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.text) >= consoleSize && !c.open {
		c.room.Wait()
	}
	if len(p) == 0 || len(c.text) >= 2*consoleSize {
		return len(p), nil // nobody is going to read it
	}
	c.text = append(c.text, p...)
	c.column0 = p[len(p)-1] == '\n'
	select {
	case c.ready <- struct{}{}:
	default:
	}
	return len(p), nil
}

// line writes a line of its own.
func (c *console) line(s string) {
	c.mu.Lock()
	column0 := c.column0
	c.mu.Unlock()
	if !column0 {
		s = "\n" + s
	}
	c.Write([]byte(s + "\n"))
}

// take returns at most chunkSize bytes of whole lines; of unfinished ones too
// if all is set, or if they are longer than that.
func (c *console) take(all bool) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.text), chunkSize)
	if i := bytes.LastIndexByte(c.text[:n], '\n'); i >= 0 && (!all || n == chunkSize) {
		n = i + 1
	} else if !all && n < chunkSize {
		return nil
	}
	text := bytes.Clone(c.text[:n])
	c.text = append(c.text[:0], c.text[n:]...)
	c.room.Broadcast()
	return text
}

// unblock lets all writers go on, now and later.
func (c *console) unblock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = true
	c.room.Broadcast()
}
