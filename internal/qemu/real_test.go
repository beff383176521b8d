package qemu

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/inferior/core"
	"guestcore/internal/objfile"
	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// programGuest is a guest that was stopped in the last loop of a program.
func programGuest(t testing.TB, build rig.Build, target, name string, p rig.Program) *rig.Fixture {
	t.Helper()
	return testkit.Boot(t, testkit.Emulator(t, build, target), rig.Config{
		Name: name, Bare: true, NoVMCoreInfo: true, Args: p.Args,
		Files: map[string][]byte{p.File: p.Image},
		Ready: []rig.Word{{Addr: p.Done, Value: p.DoneValue}},
	})
}

// realSource is the process in a fixture's core, with its executable.
func realSource(t testing.TB, f *rig.Fixture, exe string) Source {
	t.Helper()
	open := func(path string, _ io.ReaderAt) (*os.File, error) { return os.Open(filepath.Join(f.QEMU.Root, path)) }
	p, err := core.Open(f.Core, core.Options{OpenFile: open})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	o, err := objfile.Open(exe, objfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	src := Source{Process: p, Exe: o, ExePath: strings.TrimPrefix(f.QEMU.Exe, f.QEMU.Root)}
	for _, m := range p.Files() {
		if m.Path == src.ExePath && m.Offset == 0 {
			for _, s := range o.Segments() {
				if s.Type == elf.PT_LOAD && s.Off == 0 {
					src.Bias = m.Start - addr.HVA(s.Vaddr)
					return src
				}
			}
		}
	}
	t.Fatalf("%s is not mapped", src.ExePath)
	return src
}

// The registers of real QEMUs are read where the monitor's info registers had
// them, with debug information and without.
func TestRealCPUs(t *testing.T) {
	for _, q := range []rig.QEMU{testkit.StockQEMU(t), testkit.DebugQEMU(t), testkit.SuiteQEMU(t, "trixie"), testkit.SuiteQEMU(t, "sid")} {
		t.Run(q.Name, func(t *testing.T) {
			f := testkit.Boot(t, q, rig.PC)
			vm, err := Open(realSource(t, f, q.Exe))
			if err != nil {
				t.Fatal(err)
			}
			l, err := vm.cpuLayout()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, env at %#x", l.Name, l.Env)
			checkX86Registers(t, vm, f)
		})
	}
}

// checkX86Registers compares the vCPUs with what the monitor printed.
func checkX86Registers(t *testing.T, vm *VM, f *rig.Fixture) {
	t.Helper()
	text, err := os.ReadFile(f.Registers)
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := vm.cpus()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "CPU#")[1:]
	if len(parts) != len(cpus) || len(cpus) < 2 {
		t.Fatalf("%d vCPUs, the monitor printed %d", len(cpus), len(parts))
	}
	for i, part := range parts {
		want := map[string]uint64{}
		for field := range strings.FieldsSeq(strings.ReplaceAll(part, " =", "=")) {
			if name, value, ok := strings.Cut(field, "="); ok {
				if v, err := strconv.ParseUint(value, 16, 64); err == nil {
					want[name] = v
				}
			}
		}
		env, err := vm.env(cpus[i])
		if err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{
			"RAX": "regs[0]", "RCX": "regs[1]", "RBX": "regs[3]", "RSP": "regs[4]", "R15": "regs[15]", "RIP": "eip",
			"CR2": "cr[2]", "CR3": "cr[3]", "CR4": "cr[4]", "EFER": "efer", "DR6": "dr[6]", "DR7": "dr[7]",
		} {
			if got := env.Uint64(path); env.Err() != nil || got != want[name] || part == "" {
				t.Errorf("vCPU %d: %s is %#x, %v; the monitor had %s=%#x", i, path, got, env.Err(), name, want[name])
			}
		}
		for path, name := range map[string]string{"segs[1].selector": "CS", "mxcsr": "MXCSR"} {
			if got := env.Uint32(path); got != uint32(want[name]) {
				t.Errorf("vCPU %d: %s is %#x, the monitor had %s=%#x", i, path, got, name, want[name])
			}
		}
		if want := fmt.Sprintf("GS =%04x %016x", env.Uint32("segs[5].selector"), env.Uint64("segs[5].base")); !strings.Contains(part, want) {
			t.Errorf("vCPU %d: the monitor had no %s", i, want)
		}
		state, err := vm.cpuState(cpus[i])
		if err != nil {
			t.Fatal(err)
		}
		if n := state.Uint32("cpu_index"); n != uint32(i) || state.Err() != nil {
			t.Errorf("vCPU %d: cpu_index %d, %v", i, n, state.Err())
		}
	}
}
