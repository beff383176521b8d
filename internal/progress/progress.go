// Package progress shows how far a dump is: a [Meter] counts, [Show] renders
// it now and then, as lines for gdb or a log, as a bar on a terminal, or as
// JSON.
//
// It knows nothing of what is counted but that it is bytes, and decides
// nothing: what became of the dump is its summary's to say.
package progress

import (
	"os"
	"sync/atomic"
	"time"
)

// Meter counts bytes done of a total. It is a dump.Progress. The zero value
// is ready; all methods may be called by any goroutine.
type Meter struct {
	// What is being done, if that has to be told from something else; set
	// before anybody looks.
	What string

	done, total atomic.Int64
	start       atomic.Pointer[time.Time]
}

// Start sets the total, forgets what was done and starts the clock.
func (m *Meter) Start(total int64) {
	now := time.Now()
	m.start.Store(&now)
	m.done.Store(0)
	m.total.Store(total)
}

// Add counts n bytes as done.
func (m *Meter) Add(n int64) { m.done.Add(n) }

// State is where the meter stands.
func (m *Meter) State() State {
	s := State{What: m.What, Done: m.done.Load(), Total: m.total.Load()}
	if start := m.start.Load(); start != nil {
		s.Elapsed = time.Since(*start)
	}
	return s
}

// State is how far a job is. Total is 0 before it started.
type State struct {
	What        string
	Done, Total int64 // bytes
	Elapsed     time.Duration
}

// Percent is what part is done, rounded down.
func (s State) Percent() int {
	if s.Total <= 0 {
		return 0
	}
	return int(float64(s.Done) / float64(s.Total) * 100)
}

// Rate is in bytes a second, 0 when unknown.
func (s State) Rate() int64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return int64(float64(s.Done) / s.Elapsed.Seconds())
}

// Left is the time the rest takes at the rate so far, 0 when unknown.
func (s State) Left() time.Duration {
	if s.Done <= 0 {
		return 0
	}
	return time.Duration(float64(s.Elapsed) * float64(s.Total-s.Done) / float64(s.Done))
}

// Renderer shows states. End is called once behind the last of them, to clear
// away what the next output should not find.
type Renderer interface {
	Render(State)
	End()
}

// asked is a Renderer that also renders when somebody wants to know.
type asked struct {
	Renderer
	ask    <-chan os.Signal
	answer Renderer
}

// OnSignal is r, and for each signal answer as well, however early it comes.
func OnSignal(r Renderer, ask <-chan os.Signal, answer Renderer) Renderer {
	return asked{r, ask, answer}
}

// When a job is shown: one that takes less than quiet never is.
const (
	quiet    = time.Second
	interval = 500 * time.Millisecond
)

// Show renders m from a goroutine of its own, twice a second after a second of
// silence, until stop is called. Once stop has returned nothing is rendered
// any more; it may be called again.
func Show(m *Meter, r Renderer) (stop func()) {
	return show(m, r, quiet, interval)
}

func show(m *Meter, r Renderer, quiet, interval time.Duration) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	a, _ := r.(asked)
	go func() {
		defer close(gone)
		shown := false
		end := func() {
			if shown {
				r.End()
				shown = false
			}
		}
		next := time.NewTimer(quiet)
		defer next.Stop()
		for {
			select {
			case <-quit:
				end()
				return
			case <-a.ask:
				end()
				a.answer.Render(m.State())
			case <-next.C:
				next.Reset(interval)
				if s := m.State(); s.Total > 0 {
					r.Render(s)
					shown = true
				}
			}
		}
	}()
	var stopped atomic.Bool
	return func() {
		if !stopped.Swap(true) {
			close(quit)
		}
		<-gone
	}
}
