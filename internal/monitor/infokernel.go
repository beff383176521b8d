package monitor

import (
	"context"
	"fmt"
	"io"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/progress"
)

// Kernel is what is known of the guest's kernel, and how a dump of the guest is
// opened.
type Kernel struct {
	guest.Kernel
	Open     linux.Commands `json:"open"` // the file's name is FILE
	Warnings []string       `json:"-"`    // of the guest, a sentence each
}

// Kernel finds out what kernel the guest runs. It may read all of guest memory;
// show tells how far that is.
func (m *Monitor) Kernel(ctx context.Context, scan dump.Scan, show progress.Renderer) (Kernel, error) {
	machine, err := m.Session.Guest(ctx, "", scan, show)
	if err != nil {
		return Kernel{}, err
	}
	return Kernel{*machine.Kernel, linux.OpenWith(machine, "FILE", machine.HasRegisters(false)), machine.Warnings}, nil
}

// AddKernel adds the kernel, or a warning that says why it is not known. The
// error is that of ctx.
func (info *Info) AddKernel(ctx context.Context, m *Monitor, scan dump.Scan, show progress.Renderer) error {
	k, err := m.Kernel(ctx, scan, show)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		info.Warnings = append(info.Warnings, fmt.Sprintf("the guest's kernel is not known: %v", err))
	default:
		info.Kernel, info.Warnings = &k, append(info.Warnings, k.Warnings...)
	}
	return nil
}

var infoKernel = command{
	name:    "info kernel",
	summary: "say what kernel the guest runs, and how crash and drgn open a dump of it",
	help: `
Without a vmcoreinfo device, or where what the guest wrote to it is not of the
kernel that the vCPUs run, guest memory is searched, which takes some tenths of
a second per GiB, once.`,
	run: func(m *Monitor, ctx context.Context, args []string, out io.Writer) error {
		if err := noArguments("info kernel", args); err != nil {
			return err
		}
		k, err := m.Kernel(ctx, dump.ScanAuto, progress.Lines(func(line string) { fmt.Fprintln(out, line) }))
		if err != nil {
			return err
		}
		k.print(out)
		for _, w := range k.Warnings {
			fmt.Fprintf(out, "warning: %s\n", w)
		}
		return nil
	},
}

// print prints the kernel, a property a line.
func (k Kernel) print(out io.Writer) {
	property := func(name, value string) {
		if value == "" {
			value = "unknown"
		}
		fmt.Fprintf(out, "%-14s %s\n", name, value)
	}
	name := k.Release
	if k.System != "" {
		name = k.System + " " + name
	}
	property("kernel", name)
	if k.BuildID != "" {
		property("build-id", k.BuildID)
	}
	note := k.Note
	if note == "" {
		note = "none"
	}
	property("VMCOREINFO", note)
	if k.Offset != nil {
		property("kernel offset", fmt.Sprintf("%#x", *k.Offset))
	}
	if k.PhysBase != nil {
		property("phys_base", fmt.Sprintf("%#x", *k.PhysBase))
	}
	for _, r := range k.Remarks {
		fmt.Fprintf(out, "note: %s\n", r)
	}
	printCommands(out, k.Open)
}

// printCommands prints how to open a dump.
func printCommands(out io.Writer, c linux.Commands) {
	for _, x := range []struct{ program, line string }{{"crash", c.Crash}, {"drgn", c.Drgn}} {
		if x.line != "" {
			fmt.Fprintf(out, "%-14s %s\n", "with "+x.program, x.line)
		}
	}
	for _, r := range c.Remarks {
		fmt.Fprintf(out, "note: %s\n", r)
	}
}
