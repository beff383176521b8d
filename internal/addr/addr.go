// Package addr names the address spaces that meet in a dump, one type each,
// so that the compiler keeps them apart: an HVA is an address in the QEMU
// process, a GPA one on the guest's memory bus, a GVA one a guest program
// uses, a PFN a page of guest-physical memory, a FileOff a place in one of the
// files that hold the bytes.
//
// It knows nothing of what lies at an address. Everything else stands on it.
package addr

import "fmt"

// HVA is a host virtual address: one in the QEMU process.
type HVA uint64

// GPA is a guest-physical address.
type GPA uint64

// GVA is a guest virtual address. Kernel addresses are negative as int64.
type GVA uint64

// PFN is a guest page frame number: a GPA divided by the guest's page size.
type PFN uint64

// FileOff is a byte offset in one of several numbered files. The number is in
// the upper 16 bits, the offset in the lower 48 (256 TiB a file): adjacent
// offsets in one file are adjacent as integers, so that extents of a FileOff
// join and split like those of any other address.
type FileOff uint64

const fileShift = 48

// MaxFileOff is the first byte offset that a FileOff cannot hold.
const MaxFileOff = int64(1) << fileShift

// InFile returns the FileOff of byte off of file number file.
// It panics when either does not fit: both come from our own tables, sizes
// read from input are checked against [MaxFileOff] before.
func InFile(file int, off int64) FileOff {
	if file < 0 || file > 0xffff || off < 0 || off >= MaxFileOff {
		panic(fmt.Sprintf("addr: no FileOff for offset %#x in file %d", off, file))
	}
	return FileOff(file)<<fileShift | FileOff(off)
}

// File is the number of the file.
func (o FileOff) File() int { return int(o >> fileShift) }

// Offset is the byte offset in that file.
func (o FileOff) Offset() int64 { return int64(o & (1<<fileShift - 1)) }

func (a HVA) String() string { return fmt.Sprintf("%#x", uint64(a)) }
func (a GPA) String() string { return fmt.Sprintf("%#x", uint64(a)) }
func (a GVA) String() string { return fmt.Sprintf("%#x", uint64(a)) }
func (o FileOff) String() string {
	return fmt.Sprintf("file %d offset %#x", o.File(), o.Offset())
}
