// Package capi is what guestcore.h offers to C programs, as far as it is Go:
// open sources by integer handles, and calls on them from any thread.
//
// It knows no cgo, which is package cgo_ext's, and no command line: a dump is
// asked for as behind gdb's monitor.
package capi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"guestcore/internal/guest"
	"guestcore/internal/monitor"
	"guestcore/internal/progress"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

// Handle names an open source, from 1 on. A closed one is not used again.
type Handle int64

// source is an open source. Calls on it wait for each other.
type source struct {
	mu      sync.Mutex
	session *session.Session // nil once closed
	machine *guest.Machine
}

var (
	mu      sync.Mutex
	sources = map[Handle]*source{}
	last    Handle
)

// ErrHandle means that a handle is not open.
var ErrHandle = errors.New("not an open handle")

// Guard runs f and turns a panic, which is our defect, into an error: a C
// program must not end by it.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// Open opens a source and finds the guest in it.
func Open(o session.Options) (Handle, error) {
	s, err := session.Open(context.Background(), o)
	if err != nil {
		return 0, err
	}
	machine, err := s.Machine("")
	if err != nil {
		return 0, errors.Join(err, s.Close())
	}
	mu.Lock()
	defer mu.Unlock()
	last++
	sources[last] = &source{session: s, machine: machine}
	return last, nil
}

// with calls f with the source of a handle, alone.
func (h Handle) with(f func(*source) error) error {
	mu.Lock()
	s := sources[h]
	mu.Unlock()
	if s == nil {
		return fmt.Errorf("%d: %w", h, ErrHandle)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return fmt.Errorf("%d: %w", h, ErrHandle)
	}
	return f(s)
}

// Close closes a handle, once the calls on it have returned.
func (h Handle) Close() error {
	return h.with(func(s *source) error {
		mu.Lock()
		delete(sources, h)
		mu.Unlock()
		err := s.session.Close()
		s.session = nil
		return err
	})
}

// Ranges lists the guest's memory.
func (h Handle) Ranges() (ranges []guest.Range, err error) {
	err = h.with(func(s *source) error {
		ranges = s.machine.Image.Ranges
		return nil
	})
	return ranges, err
}

// Read reads guest-physical memory. It returns the bytes before the first one
// that is not there, and an error that names its address.
func (h Handle) Read(p []byte, address uint64) (n int, err error) {
	err = h.with(func(s *source) (err error) {
		n, err = s.machine.Image.ReadAt(p, int64(address))
		return err
	})
	return n, err
}

// Dump writes the guest's memory to a file. The arguments are those of
// dump-guest-memory in gdb's monitor. show, nil for nobody, is told of the
// progress and cancels the dump by returning false.
func (h Handle) Dump(args []string, show func(done, total int64) bool) error {
	return h.with(func(s *source) error {
		r, err := monitor.ParseDump(args)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		m := &monitor.Monitor{Session: s.session, Creator: version.String()}
		_, err = m.Dump(ctx, r, io.Discard, callback{show, cancel})
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	})
}

var errCancelled = errors.New("cancelled by the caller")

// callback shows progress to a function.
type callback struct {
	show   func(done, total int64) bool
	cancel context.CancelCauseFunc
}

func (c callback) Render(s progress.State) {
	if c.show != nil && !c.show(s.Done, s.Total) {
		c.cancel(errCancelled)
	}
}

func (c callback) End() {}
