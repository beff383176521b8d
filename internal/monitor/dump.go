package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/progress"
	"guestcore/internal/qemu"
)

// formats are the formats a dump can have.
var formats = append(dump.Table{vmcore.Format{}}, kdump.Formats()...)

// FormatNames are the names of the formats a dump can have, the default one
// first.
func FormatNames() []string { return formats.Names() }

var dumpCommand = command{
	name:    "dump-guest-memory",
	usage:   "[--partial] [--format NAME] [--level N] [--flattened] FILE [ARCH]",
	summary: "write the guest's memory to FILE, as an ELF vmcore or compressed",
	help: `
FILE is relative to the directory guestcore runs in; quote it or escape
blanks with a backslash. It appears when it is whole.

ARCH is one of ` + strings.Join(arch.GuestNames(), ", ") + `;
auto, or none, takes it from QEMU.

--format is one of ` + strings.Join(formats.Names(), ", ") + `;
--level N is how hard a format that has levels compresses, from 1, fast.
--flattened writes kdump files in the form that needs no seeking
(makedumpfile -R undoes it); a pipe always gets that.

Memory that the source lacks makes the command fail, with its ranges;
--partial writes what is there and labels the rest.

Interrupt (Ctrl-C) ends the command and leaves no file.`,
	run: func(m *Monitor, ctx context.Context, args []string, out io.Writer) error {
		r, err := parseDump(args)
		if err != nil {
			return err
		}
		_, err = m.Dump(ctx, r, out, progress.Lines(func(line string) { fmt.Fprintln(out, line) }))
		return err
	},
}

// parseDump reads the arguments of dump-guest-memory.
func parseDump(args []string) (DumpRequest, error) {
	r := DumpRequest{}
	var words []string
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		name, value, given := strings.Cut(a, "=")
		switch name {
		case "--partial":
			r.Partial = true
		case "--flattened":
			r.Flattened = true
		case "--format", "--level":
			if !given && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			if err := r.set(name, value); err != nil {
				return r, err
			}
		default:
			if strings.HasPrefix(name, "--") {
				return r, fmt.Errorf("unknown option %s: dump-guest-memory takes --partial, --format, --level and --flattened", name)
			}
			words = append(words, a)
		}
	}
	switch len(words) {
	case 1:
		r.File = words[0]
	case 2:
		r.File, r.Arch = words[0], words[1]
	default:
		return r, errors.New("usage: dump-guest-memory [--partial] FILE [ARCH]; \"help dump-guest-memory\" says more")
	}
	return r, nil
}

// set sets an option that has a value.
func (r *DumpRequest) set(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s has no value: \"help dump-guest-memory\" says more", name)
	}
	if name == "--format" {
		r.Format = value
		_, err := formats.Find(value)
		return err
	}
	var err error
	if r.Level, err = strconv.Atoi(value); err != nil {
		return fmt.Errorf("%s %q: a level is a number", name, value)
	}
	return nil
}

// DumpRequest is what a user asks of a dump.
type DumpRequest struct {
	File      string
	Arch      string // "" and "auto": QEMU's own
	Partial   bool   // write what the source has, label the rest
	Format    string // "" is ELF
	Level     int    // of compression; 0 is the format's default
	Flattened bool   // the form of kdump that needs no seeking
}

// DumpResult is what became of it, for --json. Addresses and sizes are
// numbers, sizes in bytes.
type DumpResult struct {
	Path      string   `json:"path"`
	Format    string   `json:"format"`
	Arch      string   `json:"arch"`
	Size      int64    `json:"size"`   // of the file
	Memory    int64    `json:"memory"` // of the guest, in it
	Copied    int64    `json:"copied"` // of the file's size
	Reflinked int64    `json:"reflinked"`
	Holes     int64    `json:"holes"`
	Seconds   float64  `json:"seconds"`
	Absent    []Absent `json:"absent"`
	Remarks   []string `json:"remarks,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// Absent is a range of guest memory that is not in the file.
type Absent struct {
	Start  uint64 `json:"start"`
	End    uint64 `json:"end"`
	Reason string `json:"reason"`
}

// Dump writes the guest's memory to a file. It prints the table of RAM ranges
// and a summary to out; show tells of its progress.
func (m *Monitor) Dump(ctx context.Context, r DumpRequest, out io.Writer, show progress.Renderer) (DumpResult, error) {
	if g, err := arch.GuestByName(r.File); err == nil && r.Arch == "" {
		return DumpResult{}, fmt.Errorf("%s is an architecture, and FILE is missing: write ./%s for a file of that name", g, r.File)
	}
	if err := m.Session.CheckDestination(r.File); err != nil {
		return DumpResult{}, err
	}
	format, err := formats.Find(r.Format)
	if err != nil {
		return DumpResult{}, err
	}
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
	warnings := slices.Concat(m.Session.Warnings, machine.Warnings)
	for _, w := range warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	job, err := format.Plan(machine, dump.Options{Partial: r.Partial, Creator: m.Creator, Level: r.Level, Flattened: r.Flattened})
	if err != nil {
		return DumpResult{}, err
	}
	var meter progress.Meter
	stop := progress.Show(&meter, show)
	summary, err := dump.ToFile(ctx, job, r.File, dump.FileOptions{}, &meter)
	stop() // nothing is shown behind it
	if err != nil {
		return DumpResult{}, err
	}
	fmt.Fprintln(out, summary)
	return newDumpResult(summary, machine.Arch.Name, warnings), nil
}

func newDumpResult(s dump.Summary, arch string, warnings []string) DumpResult {
	r := DumpResult{
		Path: s.Path, Format: s.Format, Arch: arch, Size: s.Size, Memory: s.Memory,
		Copied: s.Copied, Reflinked: s.Reflinked, Holes: s.Holes, Seconds: s.Elapsed.Seconds(),
		Absent: []Absent{}, Remarks: s.Remarks, Warnings: warnings,
	}
	for _, a := range s.Absent {
		r.Absent = append(r.Absent, Absent{uint64(a.Addr), uint64(a.Addr) + a.Size, a.Reason})
	}
	return r
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
