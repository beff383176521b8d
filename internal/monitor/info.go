package monitor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"guestcore/internal/dump"
	"guestcore/internal/objfile"
	"guestcore/internal/qemu"
)

// Info is what is known of a session, for --json. Addresses and sizes are
// numbers, sizes in bytes.
type Info struct {
	Machine   qemu.Machine `json:"machine"`
	Kernel    *Kernel      `json:"kernel,omitempty"` // nil if it was not asked for
	CPUs      []CPU        `json:"cpus"`
	Symbols   Symbols      `json:"symbols"`
	FlatView  []FlatRange  `json:"flatview"`
	RAMBlocks []RAMBlock   `json:"ramblocks"`
	Warnings  []string     `json:"warnings,omitempty"`
}

// Symbols say where names, addresses and layouts came from.
type Symbols struct {
	Executable *objfile.Provenance `json:"executable,omitempty"`
	Layout     string              `json:"layout"`
	Globals    []qemu.Global       `json:"globals"`
	Notes      []string            `json:"notes,omitempty"` // what was not used, and why
}

// FlatRange is a range of the guest's memory bus.
type FlatRange struct {
	Start    uint64 `json:"start"`
	End      uint64 `json:"end"`
	Kind     string `json:"kind"` // ram, rom, romd, nvram, ramd, io
	Name     string `json:"name"`
	Offset   uint64 `json:"offset_in_region"`
	ReadOnly bool   `json:"readonly,omitempty"`
	Block    string `json:"ramblock,omitempty"`
	Host     uint64 `json:"host_addr,omitempty"`
}

// RAMBlock is a RAM block of QEMU.
type RAMBlock struct {
	Name   string   `json:"name"`
	Host   uint64   `json:"host_addr"`
	Offset uint64   `json:"ram_addr"`
	Used   uint64   `json:"used_length"`
	Max    uint64   `json:"max_length"`
	Path   string   `json:"path,omitempty"`
	Data   uint64   `json:"data"`
	Zero   uint64   `json:"zero"`
	Absent uint64   `json:"absent"`
	Why    []string `json:"absent_because,omitempty"`
	// VirtioMem is there if a virtio-mem device hands the block out.
	VirtioMem *VirtioMem `json:"virtio_mem,omitempty"`
}

// VirtioMem is how much of a RAM block the guest has, and was to have.
type VirtioMem struct {
	Plugged   uint64 `json:"plugged"`
	Requested uint64 `json:"requested"`
	Usable    uint64 `json:"usable"`
	BlockSize uint64 `json:"block_size"`
}

// Info collects all that the info commands print.
func (m *Monitor) Info() (Info, error) {
	vm, err := m.Session.VM()
	if err != nil {
		return Info{}, err
	}
	info := Info{Machine: vm.Machine(), FlatView: []FlatRange{}, RAMBlocks: []RAMBlock{}, Warnings: slices.Clone(m.Session.Warnings)}
	for _, r := range vm.FlatView() {
		fr := FlatRange{
			Start: uint64(r.Start), End: uint64(r.End()), Kind: r.Kind(), Name: r.Region.Name,
			Offset: r.OffsetInRegion, ReadOnly: r.ReadOnly,
		}
		if r.Block != nil {
			fr.Block, fr.Host = r.Block.Name, uint64(r.Host)
		}
		info.FlatView = append(info.FlatView, fr)
	}
	for _, b := range vm.RAMBlocks() {
		block := RAMBlock{
			Name: b.Name, Host: uint64(b.Host), Offset: b.Offset, Used: b.UsedLength, Max: b.MaxLength,
			Path: b.Path, Data: b.Data, Zero: b.Zero, Absent: b.Absent, Why: b.Why(),
		}
		if d := b.VirtioMem; d != nil {
			block.VirtioMem = &VirtioMem{d.Plugged, d.Requested, d.Usable, d.BlockSize}
		}
		info.RAMBlocks = append(info.RAMBlocks, block)
	}
	if info.CPUs, err = cpus(vm); err != nil {
		info.Warnings = append(info.Warnings, err.Error())
	}
	info.Symbols = Symbols{Layout: vm.Layout(), Globals: vm.Globals(), Notes: vm.Notes()} // after Machine, which looks some up
	if m.Session.Exe != nil {
		p := m.Session.Exe.Describe()
		info.Symbols.Executable = &p
	}
	return info, nil
}

// infoCommand is a command that prints a part of [Info].
func infoCommand(name, summary string, print func(io.Writer, Info)) command {
	return command{
		name:    name,
		summary: summary,
		run: func(m *Monitor, _ context.Context, args []string, out io.Writer) error {
			if err := noArguments(name, args); err != nil {
				return err
			}
			info, err := m.Info()
			if err != nil {
				return err
			}
			print(out, info)
			return nil
		},
	}
}

var (
	infoFlatView  = infoCommand("info flatview", "list what each range of guest-physical addresses leads to", printFlatView)
	infoRAMBlocks = infoCommand("info ramblocks", "list QEMU's RAM blocks and what the source has of them", printRAMBlocks)
	infoMachine   = infoCommand("info machine", "describe the virtual machine", printMachine)
	infoSymbols   = infoCommand("info symbols", "say which symbols and layouts are used, and from where", printSymbols)
)

// printMachine prints the virtual machine, a property a line.
func printMachine(out io.Writer, info Info) {
	m := info.Machine
	for _, p := range []struct{ name, value string }{
		{"QEMU version", m.Version},
		{"machine", m.Type},
		{"accelerator", m.Accelerator},
		{"architecture", m.Arch},
		{"vCPUs", number(m.CPUs, m.CPUType)},
		{"RAM", size(m.RAM)},
		{"confidential", cmp.Or(m.Confidential, "no")},
	} {
		value := p.value
		if value == "" {
			value = "unknown"
		}
		fmt.Fprintf(out, "%-14s %s\n", p.name, value)
	}
	for _, n := range m.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
}

func number(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of type %s", n, what)
}

func size(n uint64) string {
	if n == 0 {
		return ""
	}
	return dump.Bytes(int64(n))
}

// printSymbols prints what was used to find the guest.
func printSymbols(out io.Writer, info Info) {
	s := info.Symbols
	if e := s.Executable; e == nil {
		fmt.Fprintln(out, "executable     not at hand")
	} else {
		fmt.Fprintf(out, "executable     %s\n", e.Executable)
		if e.BuildID != "" {
			fmt.Fprintf(out, "build-id       %s\n", e.BuildID)
		}
		for _, t := range e.Symbols {
			fmt.Fprintf(out, "symbols        %s\n", t)
		}
		if e.DebugInfo == "" {
			fmt.Fprintln(out, "debug info     none")
		} else {
			fmt.Fprintf(out, "debug info     %s (%s)\n", e.DebugInfo, e.FoundBy)
		}
		if e.Supplementary != "" {
			fmt.Fprintf(out, "supplementary  %s\n", e.Supplementary)
		}
	}
	fmt.Fprintf(out, "layouts        %s\n", s.Layout)
	for _, g := range s.Globals {
		fmt.Fprintf(out, "%-22s %v, %s\n", g.Name, g.Addr, g.From)
	}
	for _, n := range s.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	if s.Executable != nil {
		for _, w := range s.Executable.Warnings {
			fmt.Fprintf(out, "warning: %s\n", w)
		}
	}
}

// printFlatView prints the ranges of the guest's memory bus.
func printFlatView(out io.Writer, info Info) {
	fmt.Fprintln(out, "start            end              kind  offset       name")
	for _, r := range info.FlatView {
		var more []string
		if r.Block != "" && r.Block != r.Name {
			more = append(more, "block "+r.Block)
		}
		if r.ReadOnly {
			more = append(more, "read-only")
		}
		line := fmt.Sprintf("%016x %016x %-5s %012x %s", r.Start, r.End, r.Kind, r.Offset, r.Name)
		if len(more) > 0 {
			line += " (" + strings.Join(more, ", ") + ")"
		}
		fmt.Fprintln(out, line)
	}
}

// printRAMBlocks prints QEMU's RAM blocks.
func printRAMBlocks(out io.Writer, info Info) {
	fmt.Fprintln(out, "host_addr        ram_addr         used_length      data       zero       absent     name")
	for _, b := range info.RAMBlocks {
		fmt.Fprintf(out, "%016x %016x %016x %-10s %-10s %-10s %s", b.Host, b.Offset, b.Used,
			dump.Bytes(int64(b.Data)), dump.Bytes(int64(b.Zero)), dump.Bytes(int64(b.Absent)), b.Name)
		if b.Path != "" {
			fmt.Fprintf(out, " (%s)", b.Path)
		}
		fmt.Fprintln(out)
		if d := b.VirtioMem; d != nil {
			fmt.Fprintf(out, "    virtio-mem: %s plugged, %s requested, in blocks of %s\n",
				dump.Bytes(int64(d.Plugged)), dump.Bytes(int64(d.Requested)), dump.Bytes(int64(d.BlockSize)))
		}
		for _, why := range b.Why {
			fmt.Fprintf(out, "    absent: %s\n", why)
		}
	}
}

// PrintInfo prints everything, for a user without gdb.
func PrintInfo(out io.Writer, info Info) {
	printMachine(out, info)
	fmt.Fprintln(out)
	if info.Kernel != nil {
		info.Kernel.print(out)
		fmt.Fprintln(out)
	}
	printCPUs(out, info)
	fmt.Fprintln(out)
	printSymbols(out, info)
	fmt.Fprintln(out)
	printFlatView(out, info)
	fmt.Fprintln(out)
	printRAMBlocks(out, info)
	for _, w := range info.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
}
