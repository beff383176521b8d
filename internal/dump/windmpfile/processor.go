package windmpfile

import (
	"errors"
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// What is read of KDBG (KDDEBUGGER_DATA64, wdbgexts.h), whose fields have 64
// bits on x86 too. Offsets in a PRCB have 16.
const (
	kdbgTag          = 0x10 // "KDBG"
	kdbgSize         = 0x14
	kdbgBlock        = 0x218 // KiProcessorBlock, an array of pointers to PRCBs
	kdbgFrame        = 0x2bc // OffsetPrcbProcStateContext: a CONTEXT in the PRCB itself
	kdbgContainsPRCB = 0x2e6 // OffsetPcrContainedPrcb
	kdbgSpecial      = 0x2f2 // OffsetPrcbProcStateSpecialReg
	kdbgContext      = 0x338 // OffsetPrcbContext: a pointer to a CONTEXT; since Windows 7
	kdbgLength       = 0x340 // of the part that has all of this
)

// maxProcessors is more than Windows has, of all releases.
const maxProcessors = 4096

// memory is the guest's memory by virtual address.
type memory struct {
	image *guest.Image
	arch.X86Paging
	word int // bytes of a pointer
}

func (m *memory) read(p []byte, va uint64) error {
	_, err := m.image.ReadVirtual(m.X86Paging, p, va)
	return err
}

// number reads a number of two, four or eight bytes.
func (m *memory) number(va uint64, size int) (uint64, error) {
	var b [8]byte
	if err := m.read(b[:size], va); err != nil {
		return 0, err
	}
	return number(b[:]), nil
}

// pointer reads a pointer of the guest.
func (m *memory) pointer(va uint64) (uint64, error) { return m.number(va, m.word) }

// CPUs are the processors that Windows counts, with the registers that the dump
// has of them. A CONTEXT says what a program sees; the rest is among what
// Windows saved with it (KPROCESSOR_STATE), and without that a processor's
// registers are not all known, and it has none here: Reason says what failed.
func (f *File) CPUs(im *guest.Image) []guest.CPU {
	if f.Processors == 0 || f.Processors > maxProcessors {
		return nil
	}
	var cpus []guest.CPU
	k, err := f.debuggerData(im)
	for i := range int(f.Processors) {
		cpu := guest.CPU{Index: i}
		if err == nil {
			cpu.State, cpu.Reason = k.processor(i)
		} else {
			cpu.Reason = err.Error()
		}
		if cpu.State != nil {
			cpu.Trust = guest.Valid
		}
		cpus = append(cpus, cpu)
	}
	return cpus
}

// memory is the guest's virtual memory as the kernel has it.
func (f *File) memory(im *guest.Image) *memory {
	const paging, extensions = 1 << 31, 1 << 5 // CR0.PG, CR4.PAE
	m := &memory{image: im, word: int(f.layout().word)}
	m.X86Paging = arch.X86Paging{CR0: paging, CR3: f.DirectoryTableBase, LongMode: f.Wide}
	if f.PAE {
		m.CR4 = extensions
	}
	return m
}

// debuggerData is what KDBG says of the processors.
type debuggerData struct {
	*memory
	wide     bool
	size     uint64 // of KDBG itself, as it says
	block    uint64
	context  uint64 // offset in a PRCB
	embedded bool   // a CONTEXT is at that offset, and not a pointer to one
	special  uint64 // offset in a PRCB; 0: not known
	prcb     uint64 // offset in a PCR; 0: not known
}

// debuggerData reads KDBG. A guest may have it encoded: a driver that makes a
// dump leaves a copy, to which the first bugcheck parameter leads.
func (f *File) debuggerData(im *guest.Image) (*debuggerData, error) {
	k := &debuggerData{memory: f.memory(im), wide: f.Wide}
	err := k.parse(f.KDBG)
	if err == nil || k.parse(f.Bugcheck[1]) == nil {
		return k, nil
	}
	return nil, fmt.Errorf("KDBG at %#x: %w", f.KDBG, err)
}

func (k *debuggerData) parse(at uint64) error {
	b := make([]byte, kdbgLength)
	if err := k.read(b[:kdbgSize+4], at); err != nil {
		return err
	}
	if string(b[kdbgTag:][:4]) != "KDBG" {
		return errors.New("the tag is not there; Windows may have it encoded")
	}
	k.size = number(b[kdbgSize:][:4])
	size := min(k.size, kdbgLength)
	if size <= kdbgFrame+2 {
		return fmt.Errorf("it has %#x bytes, which do not say where a processor's registers are", size)
	}
	if err := k.read(b[:size], at); err != nil {
		return err
	}
	offset := func(at int) uint64 { return uint64(b[at]) | uint64(b[at+1])<<8 }
	k.block = number(b[kdbgBlock:][:8])
	if !k.wide {
		k.block &= 1<<32 - 1
	}
	k.special, k.prcb = offset(kdbgSpecial), offset(kdbgContainsPRCB)
	if k.context = offset(kdbgContext); size < kdbgLength {
		k.context, k.embedded = offset(kdbgFrame), true
	}
	return nil
}

// contextOf is where processor i has its PRCB and its context.
func (k *debuggerData) contextOf(i int) (prcb, context uint64, err error) {
	if prcb, err = k.pointer(k.block + uint64(i*k.word)); err != nil {
		return 0, 0, fmt.Errorf("reading where its PRCB is: %w", err)
	}
	context = prcb + k.context
	if !k.embedded {
		if context, err = k.pointer(context); err != nil {
			return 0, 0, fmt.Errorf("reading where its context is: %w", err)
		}
	}
	return prcb, context, nil
}

// processor reads the registers of processor i. Without any, reason says why;
// else in what they are limited.
func (k *debuggerData) processor(i int) (_ arch.State, reason string) {
	prcb, at, err := k.contextOf(i)
	if err != nil {
		return nil, err.Error()
	}
	s, err := k.readContext(at)
	if err != nil {
		return nil, fmt.Sprintf("its context at %#x: %v", at, err)
	}
	if k.special == 0 {
		return nil, "a Windows dump has its context, and that no control registers"
	}
	if err := k.readSpecial(s, prcb); err != nil {
		return nil, fmt.Sprintf("a Windows dump has its context, and no control registers: %v", err)
	}
	return s, "control registers and descriptor tables are those that Windows saved last, segments as the tables have them"
}
