package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// executing is a guest that runs when its QEMU is killed: one vCPU goes round in a loop of one instruction, its flags not computed, and
// the other one was never started.
func executing() rig.Config {
	program := rig.X86Program()
	return rig.Config{
		Name:    "executing",
		Args:    program.Args,
		Files:   map[string][]byte{program.File: program.Image},
		Ready:   []rig.Word{{Addr: program.Done, Value: program.DoneValue}},
		Bare:    true,
		Running: true,
	}
}

// TestExecuting dumps a guest that was not stopped. QEMU's own dump, for which it stopped the guest in that loop, must have the same
// registers; ours computes flags that QEMU had computed for its own.
func TestExecuting(t *testing.T) {
	for _, qemu := range []rig.QEMU{testkit.StockQEMU(t), testkit.DebugQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")} {
		t.Run(qemu.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, qemu, executing())
			ours := dump(t, fixture, "--sysroot", qemu.Root)
			sameNotes(t, ours, testkit.Open(t, fixture.QMPDump))
			cpus := infoCPUs(t, fixture)
			if len(cpus) != 2 || cpus[0].Trust != "valid" || cpus[0].Activity != "executing" || !strings.Contains(cpus[0].Reason, "was executing the guest's code") || cpus[1].Reason != "" {
				t.Errorf("CPUs are %+.300v", cpus)
			}
			if label := string(ours.Note("GUESTCORE").Desc); !strings.Contains(label, "\nCPU0=valid, as TCG last stored them: ") || !strings.Contains(label, "\nCPU1=valid\n") {
				t.Errorf("the dump is labelled %q", label)
			}
			sameRegisters(t, fixture, cpus)
		})
	}
}

// TestRegisters holds what info says of a stopped guest's vCPUs against QEMU's monitor.
func TestRegisters(t *testing.T) {
	for _, qemu := range []rig.QEMU{testkit.StockQEMU(t), testkit.DebugQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")} {
		t.Run(qemu.Name, func(t *testing.T) {
			fixture := testkit.Boot(t, qemu, rig.PC)
			cpus := infoCPUs(t, fixture)
			for _, c := range cpus {
				if c.Trust != "valid" || c.Reason != "" || c.Activity != "halted" || c.Thread == 0 {
					t.Errorf("CPU %d: %s, %q, %q, thread %d", c.Index, c.Trust, c.Reason, c.Activity, c.Thread)
				}
			}
			sameRegisters(t, fixture, cpus)
		})
	}
}

// cpu is a vCPU as info --json has it.
type cpu struct {
	Index     int    `json:"index"`
	Thread    int    `json:"thread_id"`
	Activity  string `json:"activity"`
	Trust     string `json:"trust"`
	Reason    string `json:"reason"`
	Registers []struct{ Name, Value string }
}

func (c cpu) register(name string) string {
	for _, r := range c.Registers {
		if r.Name == name {
			return strings.TrimPrefix(r.Value, "0x")
		}
	}
	return ""
}

func infoCPUs(t *testing.T, fixture *rig.Fixture) []cpu {
	t.Helper()
	args := []string{"info", "--json", "--sysroot", fixture.QEMU.Root, fixture.Core}
	result := testkit.Guestcore(t, args...)
	var info struct{ CPUs []cpu }
	if err := json.Unmarshal([]byte(result.Output), &info); err != nil {
		t.Fatalf("%v in\n%s", err, result.Output)
	}
	return info.CPUs
}

// sameRegisters compares the vCPUs' registers with what QEMU's info registers -a printed.
func sameRegisters(t *testing.T, fixture *rig.Fixture, cpus []cpu) {
	t.Helper()
	text, err := os.ReadFile(fixture.Registers)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "CPU#")[1:]
	if len(parts) != len(cpus) {
		t.Fatalf("%d vCPUs, QEMU's monitor has %d", len(cpus), len(parts))
	}
	for i, c := range cpus {
		compared := 0
		for _, want := range monitorRegisters(c) {
			compared++
			if !strings.Contains(parts[i], want) {
				t.Errorf("CPU %d: QEMU's monitor has no %q in\n%s", i, want, parts[i])
			}
		}
		if compared < 30 {
			t.Errorf("CPU %d: only %d lines of registers were compared", i, compared)
		}
	}
}

// monitorRegisters are the registers of a vCPU in the words of QEMU's monitor.
func monitorRegisters(c cpu) []string {
	short := func(name string, digits int) string { // the monitor prints some with less digits
		v := c.register(name)
		return v[max(len(v)-digits, 0):]
	}
	long := c.register("cs_flags") != "" && short("efer", 4)[1]&4 != 0 // LMA
	var out []string
	for _, n := range []string{"ax", "bx", "cx", "dx", "si", "di", "bp", "sp"} {
		if long {
			out = append(out, fmt.Sprintf("R%s=%s", strings.ToUpper(n), c.register("r"+n)))
		} else {
			out = append(out, fmt.Sprintf("E%s=%s", strings.ToUpper(n), short("r"+n, 8)))
		}
	}
	digits := 8
	if long {
		digits = 16
		for n := 8; n < 16; n++ {
			out = append(out, fmt.Sprintf("R%-2d=%s", n, c.register(fmt.Sprintf("r%d", n))))
		}
		out = append(out, fmt.Sprintf("RIP=%s RFL=%s", c.register("rip"), c.register("eflags")))
	} else {
		out = append(out, fmt.Sprintf("EIP=%s EFL=%s", short("rip", 8), c.register("eflags")))
	}
	for _, n := range []string{"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"} {
		out = append(out, fmt.Sprintf("%-3s=%s %s %s %s", upper(n), short(n, 4), short(n+"_base", digits), c.register(n+"_limit"), "00"+c.register(n + "_flags")[2:6]+"00"))
	}
	out = append(out,
		fmt.Sprintf("GDT=     %s %s", short("gdt_base", digits), c.register("gdt_limit")),
		fmt.Sprintf("IDT=     %s %s", short("idt_base", digits), c.register("idt_limit")),
		fmt.Sprintf("CR0=%s CR2=%s CR3=%s CR4=%s", short("cr0", 8), short("cr2", digits), short("cr3", digits), short("cr4", 8)),
		"DR6="+c.register("dr6"), "DR7="+c.register("dr7"), "EFER="+c.register("efer"),
		fmt.Sprintf("FCW=%s FSW=%s", short("fctrl", 4), short("fstat", 4)), fmt.Sprintf("FTW=%s MXCSR=%s", short("ftag", 2), c.register("mxcsr")))
	for n := range 16 {
		xmm := c.register(fmt.Sprintf("xmm%d", n))
		if n < 8 || long {
			out = append(out, fmt.Sprintf("XMM%02d=%s %s", n, xmm[:16], xmm[16:]))
		}
	}
	return out
}

// upper is the name of a segment register in the monitor.
func upper(name string) string {
	if name == "ldtr" {
		return "LDT"
	}
	return strings.ToUpper(name)
}
