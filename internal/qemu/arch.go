package qemu

import (
	"debug/elf"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// target is one of QEMU's targets and the architectures its guests can have.
type target struct {
	suffix string   // of the vCPU's QOM type
	exe    string   // in the name of the program, "" if the vCPU says it all
	archs  []string // the first one is what auto takes
	likely bool     // of two byte orders, the first one may be taken unproven
}

var targets = []target{
	{"-x86_64-cpu", "", []string{"X86_64", "386"}, false},
	{"-i386-cpu", "", []string{"386"}, false},
	{"-arm-cpu", "qemu-system-arm", []string{"arm", "arm-be"}, true},
	{"-arm-cpu", "", []string{"aarch64-le", "aarch64-be", "arm", "arm-be"}, true},
	{"-s390x-cpu", "", []string{"s390"}, false},
	{"-powerpc64-cpu", "", []string{"ppc64-le", "ppc64-be"}, false},
	{"-riscv-cpu", "riscv32", []string{"riscv32"}, false},
	{"-riscv-cpu", "", []string{"riscv64", "riscv32"}, false},
	{"-loongarch-cpu", "", []string{"loongarch64"}, false},
}

// archOf is the architecture of a guest by the registers of its first vCPU, as
// QEMU's own dump settles it (cpu_get_dump_info of each target); "" if they do
// not tell.
func archOf(state arch.State) string {
	switch s := state.(type) {
	case *arch.ARM64:
		if s.BigEndian() {
			return "aarch64-be"
		}
		return "aarch64-le"
	case *arch.ARM:
		if s.BigEndian() {
			return "arm-be"
		}
		return "arm"
	case *arch.RISCV: // QEMU lets no guest turn on big-endian data
		if s.Narrow {
			return "riscv32"
		}
		return "riscv64"
	case *arch.PPC64:
		if s.LittleEndian {
			return "ppc64-le"
		}
		return "ppc64-be"
	case *arch.X86:
		if s.LongMode() {
			return "X86_64"
		}
		return "386"
	}
	return ""
}

// Arch settles the guest's architecture: name as the user gave it, "" and
// "auto" for QEMU's own. An architecture the guest cannot have is refused.
// The warning says what was assumed, "" if nothing was.
func (vm *VM) Arch(name string) (g arch.Guest, warning string, err error) {
	auto := arch.IsAuto(name)
	if !auto {
		if g, err = arch.GuestByName(name); err != nil {
			return g, "", err
		}
	}
	cpus, err := vm.cpus()
	switch {
	case err != nil && auto:
		return g, "", fmt.Errorf("%w of the guest is not known (%v): name it, one of %s", ErrArch, err, strings.Join(arch.GuestNames(), ", "))
	case err != nil:
		return g, fmt.Sprintf("that the guest is %s was not checked: %v", g, err), nil
	}
	typ := cpus[0].Type
	t, ok := vm.target(typ)
	switch {
	case !ok && auto:
		return g, "", fmt.Errorf("%w of vCPUs of type %s has no name here", ErrArch, typ)
	case !ok:
		return g, "", fmt.Errorf("%w %s was asked for, but the vCPUs are of type %s", ErrArch, g, typ)
	case auto:
		return vm.autoArch(cpus[0], t)
	case !slices.Contains(t.archs, g.Name):
		return g, "", fmt.Errorf("%w %s was asked for, but the vCPUs are of type %s: use %s, or auto", ErrArch, g, typ, strings.Join(t.archs, " or "))
	}
	// An x86 vCPU can be dumped as either, whatever its mode.
	own, ok := vm.ownArch(cpus[0], t)
	if ok && (own.Machine != g.Machine || own.Class != g.Class) && g.Machine != elf.EM_X86_64 && g.Machine != elf.EM_386 {
		return g, "", fmt.Errorf("%w %s was asked for, but the first vCPU is one of %s: use that, or auto", ErrArch, g, own)
	}
	return g, "", nil
}

// ownArch is the architecture of a target's guest by its first vCPU, false if
// that does not tell.
func (vm *VM) ownArch(first vcpu, t target) (arch.Guest, bool) {
	state, err := vm.state(first)
	if err != nil {
		return arch.Guest{}, false
	}
	name := archOf(state)
	g, err := arch.GuestByName(name)
	return g, err == nil && slices.Contains(t.archs, name)
}

// target is the target with vCPUs of a type.
func (vm *VM) target(cpuType string) (target, bool) {
	i := slices.IndexFunc(targets, func(t target) bool {
		return strings.HasSuffix(cpuType, t.suffix) && strings.Contains(path.Base(vm.src.ExePath), t.exe)
	})
	if i < 0 {
		return target{}, false
	}
	return targets[i], true
}

// autoArch chooses among a target's architectures: by the first vCPU's
// registers or, where those are not to be had and the two differ in byte order,
// by the guest kernel's vmcoreinfo note.
func (vm *VM) autoArch(first vcpu, t target) (g arch.Guest, warning string, err error) {
	if g, ok := vm.ownArch(first, t); ok {
		return vm.withClass(g), "", nil
	}
	if g, err = arch.GuestByName(t.archs[0]); err != nil || len(t.archs) == 1 {
		return vm.withClass(g), "", err
	}
	other, err := arch.GuestByName(t.archs[1])
	if err != nil || other.Order == g.Order {
		return g, "", err
	}
	note, err := vm.vmcoreinfo()
	switch {
	case err == nil && note.order == other.Order:
		return other, "", nil
	case err == nil:
		return g, "", nil
	case t.likely:
		return g, fmt.Sprintf("no vmcoreinfo note tells the guest's byte order, %s is assumed: name %s if that is wrong", g, other), nil
	}
	return g, "", fmt.Errorf("%w of vCPUs of type %s may be %s, and no vmcoreinfo note tells which: name it", ErrArch, first.Type, strings.Join(t.archs, " or "))
}

// withClass gives an x86 guest of 32 bits an ELF64 file, as QEMU does
// (target/i386/arch_dump.c), if its memory goes beyond the addresses that have
// 32: where a ROM ends at 4 GiB it does.
func (vm *VM) withClass(g arch.Guest) arch.Guest {
	if g.Machine != elf.EM_386 {
		return g
	}
	memory, err := vm.memory()
	if err == nil && slices.ContainsFunc(memory.image.Ranges, func(r guest.Range) bool { return r.End() > math.MaxUint32 }) {
		g.Class = elf.ELFCLASS64
	}
	return g
}
