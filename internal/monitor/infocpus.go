package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
	"guestcore/internal/qemu"
)

// CPU is a vCPU.
type CPU struct {
	Index    int    `json:"index"`
	Thread   int    `json:"thread_id,omitempty"` // of the QEMU process
	Activity string `json:"activity,omitempty"`  // executing, halted, stopped, waiting
	// Trust is valid, stale or unknown; Reason says why, or in what valid is
	// limited.
	Trust     string     `json:"trust"`
	Reason    string     `json:"reason,omitempty"`
	Registers []Register `json:"registers,omitempty"`
}

// Register is a register of a vCPU, in JSON {"name": "rip", "value": "0xfff0"}:
// a number in JSON would lose digits.
type Register arch.Register

// MarshalJSON writes the value in hexadecimal.
func (r Register) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}{r.Name, "0x" + r.hex()})
}

// hex is the value in hexadecimal, with all its digits.
func (r Register) hex() string {
	v := slices.Clone(r.Value)
	slices.Reverse(v)
	return fmt.Sprintf("%x", v)
}

// newCPU describes a vCPU, without its registers.
func newCPU(c guest.CPU) CPU {
	return CPU{Index: c.Index, Thread: c.Thread, Activity: c.Activity, Trust: c.Trust.String(), Reason: c.Reason}
}

// cpus lists the vCPUs with their registers.
func cpus(vm *qemu.VM) ([]CPU, error) {
	all, err := vm.CPUs()
	if err != nil {
		return []CPU{}, err
	}
	out := []CPU{}
	for _, c := range all {
		cpu := newCPU(c)
		if c.Trust != guest.Unknown {
			for _, r := range c.State.Registers() {
				cpu.Registers = append(cpu.Registers, Register(r))
			}
		}
		out = append(out, cpu)
	}
	return out, nil
}

var infoCPUs = infoCommand("info cpus", "list the vCPUs and how far their registers can be relied on", printCPUs)

// printCPUs prints the vCPUs, a line each.
func printCPUs(out io.Writer, info Info) {
	fmt.Fprintln(out, "CPU  thread   activity   registers")
	for _, c := range info.CPUs {
		thread, activity := strconv.Itoa(c.Thread), c.Activity
		if c.Thread == 0 {
			thread = "unknown"
		}
		if activity == "" {
			activity = "unknown"
		}
		fmt.Fprintf(out, "%3d  %-7s  %-9s  %s\n", c.Index, thread, activity, c.label())
	}
}

// label says how far the registers can be relied on.
func (c CPU) label() string {
	if c.Reason == "" {
		return c.Trust
	}
	return c.Trust + ": " + c.Reason
}

var infoRegisters = command{
	name:    "info registers",
	usage:   "[CPU]",
	summary: "print the registers of a vCPU, without a number those of the first",
	run: func(m *Monitor, _ context.Context, args []string, out io.Writer) error {
		if len(args) > 1 {
			return fmt.Errorf("info registers takes the number of one CPU, not %q", strings.Join(args, " "))
		}
		vm, err := m.Session.VM()
		if err != nil {
			return err
		}
		all, err := cpus(vm)
		if err != nil {
			return err
		}
		c, err := choose(all, args)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "CPU %d, registers %s\n", c.Index, c.label())
		for _, r := range c.Registers {
			fmt.Fprintf(out, "%-12s 0x%s\n", r.Name, r.hex())
		}
		return nil
	},
}

// choose finds the CPU that was asked for, the first one if none was. There is
// one at least.
func choose(all []CPU, args []string) (CPU, error) {
	if len(args) == 0 {
		return all[0], nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return CPU{}, fmt.Errorf("%q is no number of a CPU: \"info cpus\" lists them", args[0])
	}
	i := slices.IndexFunc(all, func(c CPU) bool { return c.Index == n })
	if i < 0 {
		return CPU{}, fmt.Errorf("there is no CPU %d: \"info cpus\" lists them", n)
	}
	return all[i], nil
}
