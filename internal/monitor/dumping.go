package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/guest/linux"
	"guestcore/internal/progress"
)

// dumping is a dump from its plan on. What it reads is the job's: the files
// that hold guest memory, which anybody may read at the same time, and nothing
// of the session or of the virtual machine. Thus gdb and other commands go on
// while one is detached.
type dumping struct {
	request  DumpRequest // File is absolute, if it is one
	arch     string
	cpus     []CPU
	warnings []string
	notes    []string
	open     linux.Commands // to open it with
	job      dump.Job
	meter    progress.Meter
	cancel   context.CancelCauseFunc // of a detached one

	done    chan struct{} // closed at the end; what follows is valid then
	summary dump.Summary
	err     error
}

func newDumping(r DumpRequest, job dump.Job) *dumping {
	if r.To == nil {
		r.File = absolute(r.File)
	}
	return &dumping{request: r, job: job, done: make(chan struct{})}
}

// absolute is a path that does not depend on the working directory. What else
// it says stays: a folder may be a link, with its .. elsewhere, and a name that
// ends in / is none of a file.
func absolute(path string) string {
	dir, err := os.Getwd()
	if err != nil || filepath.IsAbs(path) {
		return path
	}
	return strings.TrimSuffix(dir, "/") + "/" + strings.TrimPrefix(path, "./")
}

// active reports whether the dump has not ended. There may be none.
func (d *dumping) active() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// run writes the file.
func (d *dumping) run(ctx context.Context) {
	d.err = errors.New("internal error") // unless what follows returns
	defer close(d.done)
	if d.request.To != nil {
		d.summary, d.err = dump.ToOpen(ctx, d.job, d.request.To, d.request.Output, &d.meter)
	} else {
		d.summary, d.err = dump.ToFile(ctx, d.job, d.request.File, d.request.Output, &d.meter)
	}
}

// Detach starts a dump and returns once it is planned; what is known then it
// prints. The dump goes on when ctx has ended: see [Monitor.Finish].
func (m *Monitor) Detach(ctx context.Context, r DumpRequest, out io.Writer) error {
	d, err := m.plan(ctx, r, out, progress.Lines(func(line string) { fmt.Fprintln(out, line) }))
	if err != nil {
		return err
	}
	ctx, d.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	go func() {
		defer d.cancel(nil)
		defer func() { // our defect, but no reason to take gdb's session away
			if p := recover(); p != nil && m.Log != nil {
				m.Log.Error("panic in a detached dump", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		d.run(ctx)
	}()
	fmt.Fprintf(out, "%s is being written: \"info dump\" shows how far it is\n", d.request.File)
	if m.Leaving != "" {
		fmt.Fprintln(out, m.Leaving)
	}
	return nil
}

// Finish waits for a detached dump that still runs, and says so to out; the
// end of ctx cancels it. The error is the dump's. A Monitor is to be finished
// before its session is closed.
func (m *Monitor) Finish(ctx context.Context, out io.Writer) error {
	d := m.last
	if !d.active() {
		return nil
	}
	if ctx.Err() == nil {
		fmt.Fprintf(out, "%s is still being written, Ctrl-C cancels it: %s\n", d.request.File, d.progress())
	}
	stop := context.AfterFunc(ctx, func() { d.cancel(context.Cause(ctx)) })
	defer stop()
	<-d.done
	if d.err != nil {
		return d.err
	}
	d.report(out)
	return nil
}

// report says what became of a dump that has ended well.
func (d *dumping) report(out io.Writer) {
	fmt.Fprintln(out, d.summary)
	printCommands(out, d.open)
}

// progress says how far the dump is.
func (d *dumping) progress() string {
	if s := d.meter.State(); s.Total > 0 {
		return s.String()
	}
	return "nothing is written yet"
}

var infoDump = command{
	name:    "info dump",
	summary: "show how far the dump is, or what became of the last one",
	help: `
The status is none, active, completed or failed, as of query-dump in QEMU.`,
	run: func(m *Monitor, _ context.Context, args []string, out io.Writer) error {
		if err := noArguments("info dump", args); err != nil {
			return err
		}
		m.last.print(out)
		return nil
	},
}

// print prints the status of a dump, a property a line. There may be none.
func (d *dumping) print(out io.Writer) {
	property := func(name, value string) { fmt.Fprintf(out, "%-14s %s\n", name, value) }
	if d == nil {
		property("status", "none")
		return
	}
	status := "completed"
	switch {
	case d.active():
		status = "active"
	case d.err != nil:
		status = "failed"
	}
	property("status", status)
	property("file", d.request.File)
	property("format", d.job.Plan().Format)
	switch status {
	case "active":
		property("progress", d.progress())
		fmt.Fprintln(out, `"cancel-dump" ends it`)
	case "failed":
		property("error", d.err.Error())
	default:
		d.report(out)
	}
}

// errCancelled is the cause of a dump's end by cancel-dump.
var errCancelled = errors.New("cancelled")

var cancelDump = command{
	name:    "cancel-dump",
	summary: "end a detached dump and leave no file",
	run: func(m *Monitor, ctx context.Context, args []string, out io.Writer) error {
		if err := noArguments("cancel-dump", args); err != nil {
			return err
		}
		d := m.last
		if !d.active() {
			return errors.New("no dump is being written: \"info dump\" says what became of the last one")
		}
		d.cancel(errCancelled)
		select {
		case <-d.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if d.err == nil { // it was faster
			d.report(out)
			return nil
		}
		fmt.Fprintln(out, d.err)
		return nil
	},
}
