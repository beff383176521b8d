package winguest

import (
	"bytes"
	"encoding/binary"
)

// note makes the header of a crash dump. What has no value reads PAGE, over and over, as the kernel leaves it.
func (g *Guest) note() {
	if g.Wide {
		g.Header = bytes.Repeat([]byte("PAGE"), 8192/4)
		copy(g.Header[4:], "DU64")
	} else {
		g.Header = bytes.Repeat([]byte("PAGE"), 4096/4)
		copy(g.Header[4:], "DUMP")
		g.Header[0x5c] = 0
		if g.PAE {
			g.Header[0x5c] = 1
		}
	}
	g.NoteSize, g.NoteAddr = uint32(len(g.Header)), Base+pageSize
	kdbg := uint64(0)
	if g.Encoded {
		kdbg = g.DriverKDBG
	}
	g.SetHeader(MajorBuild, 0x8, 0x8)
	g.SetHeader(Build, 0xc, 0xc)
	g.SetPointer(g.CR3(), 0x10, 0x10)
	g.SetPointer(pick[uint64](g.Kind, 0xfffffa80_00000000, 0x83c00000), 0x18, 0x14)
	g.SetPointer(g.PsLoadedModuleList, 0x20, 0x18)
	g.SetPointer(g.PsActiveProcessHead, 0x28, 0x1c)
	g.SetHeader(pick[uint32](g.Kind, 0x8664, 0x14c), 0x30, 0x20)
	g.SetHeader(CPUs, 0x34, 0x24)
	g.SetHeader(0, 0x38, 0x28)
	for i, v := range []uint64{kdbg, 0, 0, 0} {
		g.SetPointer(v, 0x40+8*i, 0x2c+4*i)
	}
	g.SetPointer(g.KDBG, 0x80, 0x60)
	g.SetRuns(Runs)
	g.SetHeader(1, 0xf98, 0xf88)
	size := uint64(len(g.Header)) + pages(Runs)*pageSize
	binary.LittleEndian.PutUint64(g.Header[0xfa0:], size)
	binary.LittleEndian.PutUint64(g.Header[pick(g.Kind, 0xfa8, 0xfc0):], SystemTime)
	binary.LittleEndian.PutUint64(g.Header[pick(g.Kind, 0x1030, 0xfb8):], UpTime)
	g.SetHeader(Product, 0x1040, 0xf94)
	g.SetHeader(SuiteMask, 0x1044, 0xf98)
}

// SetHeader stores 32 bits in the header, at the first offset in that of 64 bits, at the other in that of 32.
func (g *Guest) SetHeader(v uint32, wide, narrow int) {
	binary.LittleEndian.PutUint32(g.Header[pick(g.Kind, wide, narrow):], v)
}

// SetPointer stores a pointer in the header, likewise.
func (g *Guest) SetPointer(v uint64, wide, narrow int) {
	if g.Wide {
		binary.LittleEndian.PutUint64(g.Header[wide:], v)
	} else {
		binary.LittleEndian.PutUint32(g.Header[narrow:], uint32(v))
	}
}

// SetRuns stores the ranges of physical memory in the header.
func (g *Guest) SetRuns(runs []Run) {
	g.SetHeader(uint32(len(runs)), 0x88, 0x64)
	g.SetPointer(pages(runs), 0x90, 0x68)
	for i, r := range runs {
		g.SetPointer(r.Base, 0x98+16*i, 0x6c+8*i)
		g.SetPointer(r.Count, 0xa0+16*i, 0x70+8*i)
	}
}
