package monitor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/argv"
	"guestcore/internal/dump"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/dump/lime"
	"guestcore/internal/dump/raw"
	"guestcore/internal/dump/vbox"
	"guestcore/internal/dump/vmcore"
	"guestcore/internal/dump/windmp"
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
	"guestcore/internal/guest/mapping"
	"guestcore/internal/guest/windows"
	"guestcore/internal/progress"
	"guestcore/internal/qemu"
)

// formats are the formats a dump can have.
var formats = slices.Concat(dump.Table{vmcore.Format{}}, kdump.Formats(), dump.Table{windmp.Format{}}, vbox.Formats(),
	dump.Table{lime.Format{}, raw.Format{}})

var dumpCommand = command{
	name:    "dump-guest-memory",
	usage:   "[flags] " + DumpUsage,
	summary: "write the guest's memory to FILE, as an ELF vmcore, compressed, or as a Windows crash dump",
}

func init() { // the help lists the flags
	dumpCommand.run = runDump
	fs := argv.New(dumpCommand.name)
	NewDumpArgs(fs)
	detachFlag(fs)
	var flags strings.Builder
	argv.List(&flags, fs)
	dumpCommand.help = `
FILE is relative to the directory guestcore runs in; quote it or escape
blanks with a backslash. It appears when it is whole.

ARCH is one of ` + strings.Join(arch.GuestNames(), ", ") + `;
auto, or none, takes it from QEMU.

BEGIN and LENGTH limit the dump to a range of guest-physical addresses. A
number is decimal, or hexadecimal with 0x; k, M, G or T may follow it.

Memory that the source lacks makes the command fail, with its ranges;
--partial writes what is there and labels the rest.

Interrupt (Ctrl-C) ends the command and leaves no file. With --detach the
command returns at once: "info dump" shows how far the dump is, "cancel-dump"
ends it.

` + flags.String()
}

func detachFlag(fs *flag.FlagSet) *bool {
	detach := fs.Bool("detach", false, "return at once and write in the background")
	fs.BoolVar(detach, "d", false, "as in QEMU's monitor: --detach")
	return detach
}

// ParseDump reads the arguments of dump-guest-memory.
func ParseDump(args []string) (DumpRequest, error) {
	r, detach, err := parseDump(args)
	if err == nil && detach {
		err = errors.New("--detach is for gdb, which goes on with other commands: leave it out")
	}
	if err == nil && r.File == "-" {
		err = errors.New("- is the standard output of the program guestcore: name a file, or a FIFO")
	}
	return r, err
}

func parseDump(args []string) (r DumpRequest, detach bool, err error) {
	fs := argv.New(dumpCommand.name)
	dumpArgs, detached := NewDumpArgs(fs), detachFlag(fs)
	words, err := argv.Parse(fs, args, `"help dump-guest-memory" lists the flags`)
	if err != nil {
		return r, false, err
	}
	r, err = dumpArgs.Request(words)
	return r, *detached, err
}

func runDump(m *Monitor, ctx context.Context, args []string, out io.Writer) error {
	r, detach, err := parseDump(args)
	if errors.Is(err, flag.ErrHelp) {
		return helpCommand.run(m, ctx, []string{dumpCommand.name}, out)
	}
	if err != nil {
		return err
	}
	if r.File == "-" {
		return errors.New("- is the standard output of guestcore dump, gdb has none for it: name a file")
	}
	if detach && !m.Once {
		return m.Detach(ctx, r, out)
	}
	if detach {
		fmt.Fprintln(out, "note: the dump is not detached: here it is waited for, Ctrl-C cancels it")
	}
	_, err = m.Dump(ctx, r, out, progress.Lines(func(line string) { fmt.Fprintln(out, line) }))
	return err
}

// Dump writes the guest's memory to a file. It prints the table of RAM ranges
// and a summary to out; show tells of its progress.
func (m *Monitor) Dump(ctx context.Context, r DumpRequest, out io.Writer, show progress.Renderer) (DumpResult, error) {
	d, err := m.plan(ctx, r, out, show)
	if err != nil {
		return DumpResult{}, err
	}
	stop := progress.Show(&d.meter, show)
	defer stop() // should run panic
	d.run(ctx)
	stop() // nothing is shown behind it
	if d.err != nil {
		return DumpResult{}, d.err
	}
	d.report(out)
	return newDumpResult(d), nil
}

// plan makes all of a dump but the file. It prints the table of RAM ranges and
// the warnings; show tells of the search for what kernel the guest runs.
func (m *Monitor) plan(ctx context.Context, r DumpRequest, out io.Writer, show progress.Renderer) (*dumping, error) {
	if m.last.active() {
		return nil, fmt.Errorf("%s is being written: \"info dump\" shows how far it is, \"cancel-dump\" ends it", m.last.request.File)
	}
	if r.To == nil {
		if err := m.Session.CheckDestination(r.File); err != nil {
			return nil, err
		}
		if err := dump.CheckPath(r.File); err != nil { // which a detached dump could only tell when asked
			return nil, err
		}
	}
	rows, err := m.Session.Rows()
	if err != nil {
		return nil, err
	}
	format, err := formats.Find(r.Format)
	if err != nil {
		return nil, err
	}
	machine, err := m.machine(ctx, r, format, show)
	if err != nil {
		return nil, err
	}
	printRows(out, rows)
	k := machine.Kernel
	notes := slices.Concat(machine.Notes, k.Remarks)
	if k.NoteAddr != nil {
		notes = append(notes, "VMCOREINFO was "+k.Note)
	}
	for _, n := range notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	warnings := slices.Concat(m.Session.Warnings, machine.Warnings)
	if machine.Sealed != "" && r.Partial {
		warnings = append(warnings, machine.Sealed)
	}
	if r.Paging {
		var more []string
		if r.Mappings, more, err = mapping.Of(ctx, machine, r.StaleRegisters); err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	for _, w := range warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	if format == (windmp.Format{}) {
		o := windows.Options{StaleRegisters: r.StaleRegisters, Partial: r.Partial, Float: r.FloatContext, IgnoreNote: r.IgnoreNote}
		if err := windows.Identify(ctx, machine, o); err != nil {
			return nil, err
		}
		from := "the header is made from " + machine.Windows.Origin
		fmt.Fprintf(out, "note: %s\n", from)
		notes = append(notes, from)
	}
	r.Creator, r.Align = m.Creator, dump.AlignFor(r.File)
	r.Output.Log = m.Log
	job, err := format.Plan(machine, r.Options)
	if err != nil {
		return nil, err
	}
	m.last = newDumping(r, job)
	m.last.cpus = []CPU{}
	for _, c := range machine.CPUs {
		m.last.cpus = append(m.last.cpus, newCPU(c))
	}
	m.last.arch, m.last.warnings, m.last.notes = machine.Arch.Name, warnings, notes
	file := m.last.request.File
	if r.To != nil {
		file = "FILE"
	}
	if name := format.Name(); r.Window.IsZero() && (name == "elf" || strings.HasPrefix(name, "kdump-")) { // crash and drgn read no others
		m.last.open = linux.OpenWith(machine, file, machine.HasRegisters(r.StaleRegisters))
	}
	return m.last, nil
}

// machine is the guest as a format needs it. What kernel it runs may take all
// of its memory to find out: that is left out where the file does not tell.
func (m *Monitor) machine(ctx context.Context, r DumpRequest, f dump.Format, show progress.Renderer) (*guest.Machine, error) {
	if f.HoldsKernel() {
		return m.Session.Guest(ctx, r.Arch, r.Scan, show)
	}
	machine, err := m.Session.Machine(r.Arch)
	if err != nil {
		return nil, err
	}
	machine.Kernel = &guest.Kernel{}
	return machine, nil
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
