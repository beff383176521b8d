// Package windows is what a crash dump of a guest that runs Windows needs
// beside memory: the header, and the processors' registers where debuggers
// look for them.
//
// The header is the one that the guest's driver left with QEMU in a VMCOREINFO
// note, filled in as QEMU fills it in for its own dump. A guest without a
// driver has it made from its memory: a vCPU leads to the kernel's image, that
// to the kernel's debugger data block, and that to all else. The registers become a
// CONTEXT in each processor's control block: they are patches of the dump, and
// guest memory stays as it is.
//
// It knows guest memory and registers, from packages guest and arch. It knows
// no hypervisor and writes no file: that is package dump/windmp.
package windows

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// Options are what a user may ask of the dump.
type Options struct {
	// StaleRegisters writes registers of processors that ran on with newer
	// ones, too.
	StaleRegisters bool
	// Partial leaves a context as the guest has it where its place cannot be
	// found, which is otherwise refused, as by QEMU.
	Partial bool
	// Float puts the x87 and SSE registers into the contexts, where QEMU's own
	// dump has zeros.
	Float bool
	// IgnoreNote makes the header from guest memory though the guest's driver
	// left one.
	IgnoreNote bool
}

// liveSystemDump is the bugcheck code of a dump that is no crash's.
const liveSystemDump = 0x161

// completeDump is the DumpType of a file that has all pages of all runs.
const completeDump = 1

// Identify finds what a crash dump of the machine needs, and sets m.Windows,
// unless the machine comes out of such a dump: in the note of the guest's
// driver or, where there is none, in guest memory. The error says what was not
// found, and what to do.
func Identify(ctx context.Context, m *guest.Machine, o Options) error {
	if m.Windows != nil && m.Windows.Kept {
		return nil
	}
	if m.Arch.Machine != elf.EM_X86_64 && m.Arch.Machine != elf.EM_386 {
		return fmt.Errorf("a Windows crash dump is one of an x86 machine, and this is %s: use the elf format", m.Arch)
	}
	if m.Sealed != "" {
		return fmt.Errorf("the guest's kernel cannot be asked for a Windows crash dump: %s", m.Sealed)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(m.VMCoreInfo) > 0 && !o.IgnoreNote {
		w, err := fromNote(m, o)
		m.Windows = w
		return err
	}
	w, err := find(ctx, m, o)
	switch {
	case err == nil:
		m.Windows = w
		return nil
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case o.IgnoreNote:
		return fmt.Errorf("no crash dump header can be made from guest memory: %w; use the elf format", err)
	}
	return fmt.Errorf("%w; and none can be made from guest memory: %w", errNoNote, err)
}

// fromNote makes what a crash dump needs of the header that the guest's driver
// left.
func fromNote(m *guest.Machine, o Options) (*guest.Windows, error) {
	h, err := FromNote(m.VMCoreInfo)
	if err != nil {
		return nil, err
	}
	all, err := spaces(m, h, o.StaleRegisters)
	if err != nil {
		return nil, err
	}
	w, err := build(m, h, all, o)
	if err != nil {
		return nil, fmt.Errorf("%w; --ignore-note makes the header from guest memory", err)
	}
	w.Origin = "the note of the guest's driver"
	return w, nil
}

// build fills the header in and makes the contexts, with the kernel's memory
// mapped in one of some ways. It changes h.
func build(m *guest.Machine, h Header, in []space, o Options) (*guest.Windows, error) {
	k, err := findKDBG(h, in)
	if err != nil {
		return nil, err
	}
	h.Put(KdDebuggerDataBlock, k.addr)
	w := &guest.Windows{Header: h}
	w.Remarks = append(w.Remarks, complete(h, k)...)
	more, err := registers(w, m, h, k, o)
	if err != nil {
		return nil, err
	}
	w.Remarks = append(w.Remarks, more...)
	return w, nil
}

// complete fills in what the driver's header lacks, as QEMU does. What could
// not be read is a remark.
func complete(h Header, k kdbg) (remarks []string) {
	if h.Wide() {
		clear(h[runsPad64:][:4])
		clear(h[typePad64:][:4])
	}
	h.putSpace()
	if t := h.Uint(DumpType); t != completeDump {
		remarks = append(remarks, fmt.Sprintf("the header's DumpType was %d: it is %d now, that of a complete dump, which this is", t, completeDump))
		h.Put(DumpType, completeDump)
	}
	if database, err := k.pointer(kdbgMmPfnDatabase); err != nil {
		remarks = append(remarks, fmt.Sprintf("PfnDatabase stays as the guest's driver left it: reading MmPfnDatabase: %v", err))
	} else {
		h.Put(PfnDatabase, database)
	}
	if err := readBugcheck(h, k); err != nil {
		remarks = append(remarks, fmt.Sprintf("the bugcheck's code and parameters stay as the guest's driver left them: %v", err))
	}
	return remarks
}

// readBugcheck has the header tell of the bugcheck that the guest made, and of
// a live system if it made none.
func readBugcheck(h Header, k kdbg) error {
	at, err := k.pointer(kdbgKiBugcheckData)
	if err != nil {
		return fmt.Errorf("reading KiBugcheckData: %w", err)
	}
	data := make([]byte, len(h.bugcheck()))
	if err := k.read(data, at); err != nil {
		return fmt.Errorf("reading the bugcheck's data: %w", err)
	}
	copy(h.bugcheck(), data)
	if h.Uint(BugcheckCode) == 0 {
		h.Put(BugcheckCode, liveSystemDump)
	}
	return nil
}

// errContexts is the refusal of a dump without its contexts.
var errContexts = errors.New("--partial leaves contexts out that have no place, the elf format has all registers in notes")

// registers puts the contexts of the processors into w.Patches. What they lack
// is a remark.
func registers(w *guest.Windows, m *guest.Machine, h Header, k kdbg, o Options) (remarks []string, err error) {
	c, err := findContexts(k)
	if err != nil && !o.Partial {
		return nil, fmt.Errorf("the processors' contexts: %w: %w", err, errContexts)
	}
	if err != nil {
		return []string{fmt.Sprintf("the file has the contexts that the guest had, none of a vCPU's registers: %v", err)}, nil
	}
	count := int(min(h.Uint(NumberProcessors), uint64(len(m.CPUs))))
	switch n := h.Uint(NumberProcessors); {
	case len(m.CPUs) == 0:
		return []string{"nothing is known of the vCPUs: the file has the contexts that the guest had"}, nil
	case n < uint64(len(m.CPUs)):
		remarks = append(remarks, fmt.Sprintf("Windows counts %d processors and the machine has %d: the registers of the rest have no place in the file", n, len(m.CPUs)))
	case n > uint64(len(m.CPUs)):
		remarks = append(remarks, fmt.Sprintf("Windows counts %d processors and the machine has %d: the contexts of the rest are those that the guest had", n, len(m.CPUs)))
	}
	r := lacks{o: o}
	for i, cpu := range m.CPUs[:count] {
		s, ok := cpu.State.(*arch.X86)
		if !ok || !cpu.Usable(o.StaleRegisters) {
			r.unusable(cpu)
			continue
		}
		patches, err := c.patches(i, s, o.Float)
		if err != nil && !o.Partial {
			return nil, fmt.Errorf("processor %d of Windows: %w: %w", i, err, errContexts)
		}
		if err != nil {
			r.say(cpu.Index, fmt.Sprintf("are not in the file, it has the context that the guest had: %v", err))
			continue
		}
		w.Patches = append(w.Patches, patches...)
		r.written(cpu, s, h.Wide())
	}
	return append(remarks, r.remarks()...), nil
}
