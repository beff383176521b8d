package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/progress"
	"guestcore/internal/qemu"
)

// Formats are the formats a dump can have.
var Formats = append(dump.Table{vmcore.Format{}}, kdump.Formats()...)

var dumpCommand = Command{
	Name:    "dump-guest-memory",
	Usage:   "[--partial] FILE [ARCH]",
	Summary: "write the guest's memory to FILE as an ELF vmcore",
	Help: `
FILE is relative to the directory guestcore runs in; quote it or escape
blanks with a backslash. It appears when it is whole.

ARCH is one of ` + strings.Join(arch.GuestNames(), ", ") + `;
auto, or none, takes it from QEMU.

Memory that the source lacks makes the command fail, with its ranges;
--partial writes what is there and labels the rest.

Interrupt (Ctrl-C) ends the command and leaves no file.`,
	run: func(m *Monitor, ctx context.Context, args []string, out io.Writer) error {
		r := DumpRequest{}
		var words []string
		for _, a := range args {
			switch {
			case a == "--partial":
				r.Partial = true
			case a == "--flattened":
				r.Flattened = true
			case strings.HasPrefix(a, "--format="):
				r.Format = a[len("--format="):]
			case strings.HasPrefix(a, "--level="):
				level, err := strconv.Atoi(a[len("--level="):])
				if err != nil {
					return fmt.Errorf("%s: a level is a number", a)
				}
				r.Level = level
			case strings.HasPrefix(a, "--") && len(a) > 2:
				return fmt.Errorf("unknown option %s: dump-guest-memory takes --partial", a)
			default:
				words = append(words, a)
			}
		}
		switch len(words) {
		case 1:
			r.File = words[0]
		case 2:
			r.File, r.Arch = words[0], words[1]
		default:
			return errors.New("usage: dump-guest-memory [--partial] FILE [ARCH]")
		}
		_, err := m.Dump(ctx, r, out, progress.Lines(func(line string) { fmt.Fprintln(out, line) }))
		return err
	},
}

// DumpRequest is what a user asks of a dump.
type DumpRequest struct {
	File    string
	Arch    string // "" and "auto": QEMU's own
	Partial bool   // write what the source has, label the rest

	Format    string // of the dump; "" is the default
	Level     int    // of compression; 0 is the format's default
	Flattened bool   // as makedumpfile -F has it
}

// DumpResult is what became of it.
type DumpResult struct {
	Arch     string
	Warnings []string
	dump.Summary
}

// Dump writes the guest's memory to a file. It prints the table of RAM ranges
// and a summary to out; show tells of its progress.
func (m *Monitor) Dump(ctx context.Context, r DumpRequest, out io.Writer, show progress.Renderer) (DumpResult, error) {
	vm, err := m.Session.VM()
	if err != nil {
		return DumpResult{}, err
	}
	machine, err := vm.Guest(r.Arch)
	if err != nil {
		return DumpResult{}, err
	}
	rows, err := vm.Rows()
	if err != nil {
		return DumpResult{}, err
	}
	printRows(out, rows)
	res := DumpResult{Arch: machine.Arch.Name, Warnings: append(m.Session.Warnings, machine.Warnings...)}
	for _, w := range res.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	format, err := Formats.Find(r.Format)
	if err != nil {
		return res, err
	}
	job, err := format.Plan(machine, dump.Options{Partial: r.Partial, Creator: m.Creator, Level: r.Level, Flattened: r.Flattened})
	if err != nil {
		return res, err
	}
	var meter progress.Meter
	func() {
		defer progress.Show(&meter, show)() // nothing is shown behind it
		res.Summary, err = dump.ToFile(ctx, job, r.File, dump.FileOptions{}, &meter)
	}()
	if err != nil {
		return res, err
	}
	fmt.Fprintf(out, "%v\n", res.Summary)
	return res, nil
}

// printRows prints the table of scripts/dump-guest-memory.py.
func printRows(out io.Writer, rows []qemu.Row) {
	fmt.Fprintln(out, "guest RAM blocks:")
	fmt.Fprintln(out, "target_start     target_end       host_addr        message count")
	fmt.Fprintln(out, "---------------- ---------------- ---------------- ------- -----")
	for _, r := range rows {
		message := "added"
		if r.Joined {
			message = "joined"
		}
		fmt.Fprintf(out, "%016x %016x %016x %-7s %5d\n", uint64(r.Start), uint64(r.End), uint64(r.Host), message, r.Count)
	}
}
