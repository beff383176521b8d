package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Live is a guest whose QEMU lives.
type Live struct {
	Dir  string
	g    *guest
	late chan error // an answer that did not come in time, nil: there is none
}

// Start starts a guest in the folder dir and returns when it is up. Ending ctx kills QEMU.
func Start(ctx context.Context, dir string, qemu QEMU, config Config) (*Live, error) {
	g, err := start(ctx, dir, qemu, config)
	if err != nil {
		return nil, err
	}
	l := &Live{Dir: dir, g: g}
	if err := g.awaitUp(ctx, config); err != nil {
		l.Kill()
		return nil, fmt.Errorf("%w\nQEMU's stderr:\n%s", err, &g.stderr)
	}
	return l, nil
}

// PID is QEMU's process id.
func (l *Live) PID() int { return l.g.cmd.Process.Pid }

// Stop stops the guest.
func (l *Live) Stop() error { return l.call("stop") }

// Cont lets the guest run.
func (l *Live) Cont() error { return l.call("cont") }

// Status is the state that QEMU says the guest is in, as "running".
func (l *Live) Status() (string, error) {
	reply, err := l.ask("query-status")
	if err != nil {
		return "", err
	}
	var status struct{ Status string }
	err = json.Unmarshal(reply, &status)
	return status.Status, err
}

func (l *Live) call(command string) error {
	_, err := l.ask(command)
	return err
}

// ask gives QEMU a command. That QEMU has ended is an error that says how.
func (l *Live) ask(command string) (json.RawMessage, error) {
	reply, err := l.g.qmp.call(command, nil)
	if errors.Is(err, io.EOF) {
		l.g.cmd.Wait()
		err = fmt.Errorf("%w: QEMU has ended, %v\n%s", err, l.g.cmd.ProcessState, &l.g.stderr)
	}
	return reply, err
}

// Dump is QEMU's own dump of the guest, with a name of its own.
func (l *Live) Dump(ctx context.Context, name string) (path string, err error) {
	return filepath.Join(l.Dir, name), l.g.dump(ctx, name, nil)
}

// DumpAs is QEMU's own dump in one of its other formats, flattened, and the time from the question to the answer.
func (l *Live) DumpAs(format, name string) (path string, took time.Duration, err error) {
	began := time.Now()
	_, err = l.g.qmp.call("dump-guest-memory", map[string]any{"paging": false, "protocol": "file:" + name, "format": format})
	return filepath.Join(l.Dir, name), time.Since(began), err
}

// Answers waits until QEMU's monitor answers, and says of a longer silence that it is an error. The answer may be that to an
// earlier question: the monitor has one that is open at a time.
func (l *Live) Answers(within time.Duration) error {
	if l.late == nil {
		l.late = make(chan error, 1)
		go func(answer chan error) { answer <- l.call("query-status") }(l.late)
	}
	select {
	case err := <-l.late:
		l.late = nil
		return err
	case <-time.After(within):
		return fmt.Errorf("QEMU's monitor has not answered for %v", within)
	}
}

// Kill ends QEMU.
func (l *Live) Kill() {
	l.g.cmd.Cancel()
	l.g.cmd.Wait()
}
