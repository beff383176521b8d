package gdbstub

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Resume lets the machine run, which QEMU stops for whoever connects
// (gdb_chr_event in gdbstub.c), and returns how long it stood still. It does
// what gdb does when it leaves, and like gdb it does not know of a user's own
// "stop" before that. A machine that waits for something else stays as it is.
// Nothing is asked after that: the next byte would stop the machine again.
func (m *Machine) Resume() (time.Duration, error) {
	if err := m.Close(); err != nil {
		return 0, fmt.Errorf("QEMU's gdbstub: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return 0, nil
	}
	ctx := context.WithoutCancel(m.ctx)
	status, err := m.c.Monitor(ctx, "info status")
	if err != nil {
		return 0, fmt.Errorf("QEMU's gdbstub: info status: %w", err)
	}
	if strings.TrimSpace(string(status)) != "VM status: paused" { // but "paused (prelaunch)", say
		return 0, nil
	}
	detach := "D"
	if id, err := m.c.Ask(ctx, "qC"); err == nil { // "QCp01.01" where several processes are spoken of
		if process, ok := strings.CutPrefix(string(id), "QCp"); ok {
			process, _, _ = strings.Cut(process, ".")
			detach += ";" + process
		}
	}
	if _, err := m.c.Ask(ctx, detach); err != nil {
		return 0, fmt.Errorf("the guest was not let go, \"cont\" in QEMU's monitor does that: %w", err)
	}
	m.gone = true
	return time.Since(m.since), nil
}
