package monitor

import (
	"context"
	"fmt"
	"io"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/guest/linux"
	"guestcore/internal/progress"
)

// DumpInfo is what a dump says of its guest, for --json. Addresses and sizes
// are numbers, sizes in bytes.
type DumpInfo struct {
	Path     string   `json:"path"`
	Format   string   `json:"format"`
	Arch     string   `json:"arch"`
	Memory   uint64   `json:"memory"` // in the file
	Kernel   Kernel   `json:"kernel"`
	CPUs     []CPU    `json:"cpus"` // without their registers, of which the file may have a part
	Ranges   []Range  `json:"ranges"`
	Absent   []Absent `json:"absent"`
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Range is a range of guest-physical memory.
type Range struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
	ROM   bool   `json:"rom,omitempty"`
}

// DumpInfo describes the guest of the dump that the session is open on. It may
// read all of guest memory; show tells how far that is.
func (m *Monitor) DumpInfo(ctx context.Context, archName string, scan dump.Scan, show progress.Renderer) (DumpInfo, error) {
	machine, err := m.Session.Guest(ctx, archName, scan, show)
	if err != nil {
		return DumpInfo{}, err
	}
	path, format := m.Session.Dump()
	info := DumpInfo{
		Path: path, Format: format, Arch: machine.Arch.Name,
		Kernel: Kernel{Kernel: *machine.Kernel},
		CPUs:   []CPU{}, Ranges: []Range{}, Absent: []Absent{},
		Notes: machine.Notes, Warnings: machine.Warnings,
	}
	if strings.HasPrefix(format, "ELF") || strings.HasPrefix(format, "kdump") { // crash and drgn read no others
		info.Kernel.Open = linux.OpenWith(machine, path, machine.HasRegisters(true))
	}
	for _, c := range machine.CPUs {
		info.CPUs = append(info.CPUs, newCPU(c))
	}
	for _, r := range machine.Image.Ranges {
		info.Memory += r.Size
		info.Ranges = append(info.Ranges, Range{uint64(r.Addr), uint64(r.End()), r.ROM})
	}
	for _, a := range machine.Missing {
		info.Memory -= a.Size
		info.Absent = append(info.Absent, newAbsent(a))
	}
	return info, nil
}

// PrintDumpInfo prints it for a user without gdb.
func PrintDumpInfo(out io.Writer, info DumpInfo) {
	fmt.Fprintf(out, "%-14s %s\n", "dump", info.Format)
	fmt.Fprintf(out, "%-14s %s\n", "architecture", info.Arch)
	fmt.Fprintf(out, "%-14s %s\n", "memory", dump.Bytes(int64(info.Memory)))
	fmt.Fprintln(out)
	info.Kernel.print(out)
	fmt.Fprintln(out)
	fmt.Fprintln(out, "CPU  registers")
	for _, c := range info.CPUs {
		fmt.Fprintf(out, "%3d  %s\n", c.Index, c.label())
	}
	if len(info.CPUs) == 0 {
		fmt.Fprintln(out, "     the file has none")
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, "start            end")
	for _, r := range info.Ranges {
		kind := ""
		if r.ROM {
			kind = " rom"
		}
		fmt.Fprintf(out, "%016x %016x%s\n", r.Start, r.End, kind)
	}
	for _, a := range info.Absent {
		fmt.Fprintf(out, "    absent: %#x-%#x: %s\n", a.Start, a.End, a.Reason)
	}
	for _, n := range info.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	for _, w := range info.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
}
