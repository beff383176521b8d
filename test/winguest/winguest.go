// Package winguest makes the memory of a guest that looks like Windows to whoever reads kernel structures from outside: a
// kernel image with a PE header, page tables, an interrupt table, KDBG, processor blocks, lists of modules and processes, and
// the header of a crash dump as the guest driver hands it to the hypervisor.
//
// It is no Windows: only what debuggers and hypervisors read is there, and nothing of it was Microsoft's. It starts no QEMU and
// knows neither the program under test nor testing: package rig boots what it makes, tests of packages read it as it is.
// Offsets are those of Microsoft's headers and public symbols: wdbgexts.h for KDBG, ntddk.h for the shared page, and of
// Windows 7 and 10 where releases differ.
package winguest

import "encoding/binary"

// Kind is what a guest is to be.
type Kind struct {
	Wide bool // 64 bits
	PAE  bool // page tables of a guest of 32 bits have entries of 64
	// Encoded has the kernel keep its KDBG encoded, and the driver hand over the address of a decoded copy, as since Windows 8.
	Encoded bool
}

// Guest is a guest's memory and what is where in it. Tests may change all of it before they ask for Image.
type Guest struct {
	Kind
	memory
	Layout

	// Header is the crash dump's header in the driver's note: KeInitializeCrashDumpHeader fills it, and the driver puts the
	// address of a KDBG that is not encoded into its first bugcheck parameter.
	Header []byte
	// Silent has the driver keep its note to itself.
	Silent bool
	// NoteSize is the descriptor's size in the note's header. NoteAddr is where the note is, physical.
	NoteSize uint32
	NoteAddr uint64
}

// Layout is where things are: virtual addresses.
type Layout struct {
	Kernel uint64 // the image
	IDT    uint64
	GDT    [CPUs]uint64
	PCR    [CPUs]uint64
	PRCB   [CPUs]uint64
	// Context is where a processor's CONTEXT is; Stack is the address behind its stack; Idle is where it halts.
	Context, Stack, Idle [CPUs]uint64
	Syscall              uint64
	Shared               uint64 // KUSER_SHARED_DATA

	KDBG, DriverKDBG                                     uint64
	PsLoadedModuleList, PsActiveProcessHead              uint64
	KiProcessorBlock, KiBugcheckData                     uint64
	MmPfnDatabase, MmPhysicalMemoryBlock                 uint64 // of the variables
	KdVersionBlock                                       uint64
	KiWaitNever, KiWaitAlways, KdpDataBlockEncoded       uint64
	PsInitialSystemProcess, MemoryDescriptor, NtBuildLab uint64
}

// CPUs is how many processors a guest has.
const CPUs = 2

// Facts of every guest.
const (
	MemorySize = 32 << 20 // of the machine, bytes
	MajorBuild = 15       // what a kernel says that is not a checked one
	Build      = 7601
	NtMajor    = 6
	NtMinor    = 1
	SuiteMask  = 0x110
	Product    = 1 // a workstation

	SystemTime = 0x01dc_5a11_22de_c0de // since 1601, in 100 ns
	UpTime     = 0x0000_0021_4365_8791
)

// Run is a range of physical memory, in pages.
type Run struct{ Base, Count uint64 }

// Runs are what the guest's memory descriptor has: not the first page, nor what lies between 640 KiB and 1 MiB.
var Runs = []Run{{0x1, 0x9e}, {0x100, 0x1c00}, {0x1d80, 0x200}}

// New makes a guest.
func New(k Kind) *Guest {
	g := &Guest{Kind: k, Layout: layout(k), memory: newMemory(k)}
	g.mapAll()
	g.image()
	g.tables()
	g.processors()
	g.lists()
	g.shared()
	g.debuggerData()
	g.note()
	return g
}

// pointer is the size of one, bytes.
func (k Kind) pointer() uint64 {
	if k.Wide {
		return 8
	}
	return 4
}

// pick is the value for the guest's width.
func pick[T any](k Kind, wide, narrow T) T {
	if k.Wide {
		return wide
	}
	return narrow
}

// PutPointer stores one at a virtual address.
func (g *Guest) PutPointer(va, v uint64) {
	if g.Wide {
		g.Put64(va, v)
	} else {
		g.Put32(va, uint32(v))
	}
}

// Put64, Put32 and Put16 store a number at a virtual address.
func (g *Guest) Put64(va, v uint64) { g.Put(va, binary.LittleEndian.AppendUint64(nil, v)) }

// Put32 is one of them.
func (g *Guest) Put32(va uint64, v uint32) { g.Put(va, binary.LittleEndian.AppendUint32(nil, v)) }

// Put16 is one of them.
func (g *Guest) Put16(va uint64, v uint16) { g.Put(va, binary.LittleEndian.AppendUint16(nil, v)) }
