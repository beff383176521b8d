// Package progress shows how far a dump is: a [Meter] counts, [Show] renders
// it now and then, as a line for gdb or a log, a bar on a terminal, or JSON.
//
// It knows nothing of what is counted but that it is bytes.
package progress

import (
	"sync/atomic"
	"time"
)

// Meter counts bytes done of a total. It is a dump.Progress. The zero value
// is ready; all methods may be called by any goroutine.
type Meter struct {
	done, total, start atomic.Int64
}

// Start sets the total and starts the clock.
func (m *Meter) Start(total int64) {
	m.start.Store(time.Now().UnixNano())
	m.done.Store(0)
	m.total.Store(total)
}

// Add counts n bytes as done.
func (m *Meter) Add(n int64) { m.done.Add(n) }

// State is where a meter stands.
type State struct {
	Done    int64         `json:"done"`  // bytes
	Total   int64         `json:"total"` // bytes
	Elapsed time.Duration `json:"-"`
}

// State reads the meter.
func (m *Meter) State() State {
	s := State{Done: m.done.Load(), Total: m.total.Load()}
	if start := m.start.Load(); start != 0 {
		s.Elapsed = time.Duration(time.Now().UnixNano() - start)
	}
	return s
}

// Renderer shows a state. Done is called once at the end, if anything was
// shown before.
type Renderer interface {
	Render(State)
	Done(State)
}

// Show renders m twice a second from a goroutine of its own, beginning after
// the first second, until stop is called. Nothing is rendered once stop has
// returned.
func Show(m *Meter, r Renderer) (stop func()) {
	return func() {}
}

// Lines gives each state to write as a line without its newline.
func Lines(write func(line string)) Renderer { return nil }
