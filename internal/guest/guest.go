// Package guest is the stopped virtual machine: its architecture, its memory
// and what is known of its operating system, whoever found it.
//
// It knows no QEMU and no output format: package qemu builds a [Machine], the
// packages below dump write it.
package guest

import (
	"fmt"
	"io"
	"sort"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/extent"
)

// Machine is a stopped virtual machine.
type Machine struct {
	Arch  arch.Guest
	Image *Image
	// CPUs are the virtual processors in the order of their numbers, nil when
	// they are not known.
	CPUs []CPU
	// VMCoreInfo is the guest kernel's VMCOREINFO ELF note, header included,
	// nil when it has none.
	VMCoreInfo []byte
	// NotedIn is where VMCoreInfo was handed over, for people; "": in the
	// vmcoreinfo device.
	NotedIn string
	// Kernel is what is known of the guest's kernel, nil if nobody asked.
	Kernel *Kernel
	// HeaderPhysBase is the phys_base that a file is to have which has one in
	// its header, though it be wrong; nil: Kernel's.
	HeaderPhysBase *int64
	// Windows is what a Windows crash dump needs, nil if nobody asked or the
	// guest runs something else.
	Windows *Windows
	// Other is memory that the guest reads and a dump leaves out, in order of
	// address: flash, a host device's memory, nonvolatile or unplugged memory.
	Other []Range
	// Devices is what else the memory bus leads to, in order of address:
	// registers of devices. There are no bytes to it.
	Devices []Range
	// Missing lists the ranges of Image that the source lacks, with the
	// reason. A dump is refused while there are any, unless asked for.
	Missing []Missing
	// Sealed says why the bytes of Image are not what the guest itself sees,
	// encrypted ones for instance; "" if they are. A dump is refused then,
	// unless asked for.
	Sealed string
	// Warnings say what a dump of the machine will lack, for the user, and
	// Notes what is no memory of the guest though it may look so.
	Warnings, Notes []string
}

// HasMemory reports whether there is memory of any kind at an address, and
// not a device or nothing at all.
func (m *Machine) HasMemory(a addr.GPA) bool { return m.Image.Has(a) || within(m.Other, a) }

// Missing is a range of guest memory that the source does not hold.
type Missing struct {
	Addr   addr.GPA
	Size   uint64 // bytes
	Reason string // what holds the bytes or took them, and what to do
}

// Image is the guest's physical memory: where each byte is stored.
type Image struct {
	// Ranges are the ranges of memory the guest sees, as a dump shows them:
	// one PT_LOAD each.
	Ranges []Range
	// Map says where the bytes of Ranges are stored, in Files. It covers
	// Ranges exactly.
	Map *extent.Map[addr.GPA, addr.FileOff]
	// Files are what FileOffs number. They stay owned by whoever opened them.
	Files []addr.Source
}

// Range is a contiguous range of guest memory.
type Range struct {
	Addr addr.GPA
	Size uint64   // bytes
	Host addr.HVA // where the hypervisor had it mapped
	ROM  bool     // the guest can read all of it and write none
	// PMEM is memory that outlives the machine, an NVDIMM for instance.
	// Unlisted is such memory that the hypervisor's own dump leaves out.
	PMEM, Unlisted bool
}

// End is the address behind the last byte.
func (r Range) End() addr.GPA { return r.Addr + addr.GPA(r.Size) }

// Size is the number of bytes of memory the guest has.
func (im *Image) Size() uint64 {
	var n uint64
	for _, r := range im.Ranges {
		n += r.Size
	}
	return n
}

// Has reports whether an address is in one of Ranges.
func (im *Image) Has(a addr.GPA) bool { return within(im.Ranges, a) }

// within reports whether an address is in one of some ranges, which are in
// order.
func within(ranges []Range, a addr.GPA) bool {
	i := sort.Search(len(ranges), func(i int) bool { return a < ranges[i].End() })
	return i < len(ranges) && ranges[i].Addr <= a
}

// ReadAt reads guest-physical memory. It returns the bytes before the first
// one that is not there, and an error that names its address.
func (im *Image) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		a := addr.GPA(off) + addr.GPA(n)
		e, ok := im.Map.Find(a)
		if !ok {
			return n, fmt.Errorf("guest has no memory at %#x", uint64(a))
		}
		part := p[n:min(uint64(len(p)), uint64(n)+uint64(e.End()-a))]
		switch e.Kind {
		case extent.Zero:
			clear(part)
		case extent.Data:
			at := e.Off + addr.FileOff(a-e.Addr)
			m, err := im.Files[at.File()].ReadAt(part, at.Offset())
			if m < len(part) {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return n + m, fmt.Errorf("guest memory at %#x: %w", uint64(a)+uint64(m), err)
			}
		default:
			return n, fmt.Errorf("guest memory at %#x is not in the source (%v)", uint64(a), e.Kind)
		}
		n += len(part)
	}
	return n, nil
}
