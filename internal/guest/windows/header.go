package windows

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Sizes of the headers, bytes.
const (
	HeaderSize64 = 0x2000
	HeaderSize32 = 0x1000
)

// PageSize is the unit of the runs of physical memory, bytes.
const PageSize = 0x1000

// Header is the header of a complete crash dump, DUMP_HEADER64 or
// DUMP_HEADER32: 8192 bytes for a guest of 64 bits, 4096 for one of 32. All is
// little-endian. Make one with [ParseHeader] or [NewHeader]; its bytes may be
// changed.
type Header []byte

// Field is a field of the header that holds a number.
type Field int

// Fields of both headers, by the names of Microsoft's debuggers.
const (
	MajorVersion Field = iota // 15, or 12 of a checked build
	MinorVersion              // the build's number
	DirectoryTableBase
	PfnDatabase
	PsLoadedModuleList
	PsActiveProcessHead
	MachineImageType // of IMAGE_FILE_HEADER: 0x8664, 0x14c
	NumberProcessors
	BugcheckCode
	BugcheckParameter1
	BugcheckParameter2
	BugcheckParameter3
	BugcheckParameter4
	PaeEnabled // of 32 bits only
	KdSecondaryVersion
	KdDebuggerDataBlock
	NumberOfRuns
	NumberOfPages
	DumpType // 1: complete
	RequiredDumpSpace
	SystemTime
	SystemUpTime
	MiniDumpFields
	SecondaryDataState
	ProductType
	SuiteMask
	WriterStatus
)

// place is where something is in a header: offset and size in bytes. A size of
// 0 is nowhere.
type place struct{ off, size int }

// fields say where each Field is (QEMU 7.2, include/qemu/win_dump_defs.h; what
// that leaves out, and the eight bytes of the small header's
// RequiredDumpSpace, as Volatility 3 and elf2dmp have it).
var fields = [...]struct {
	name         string
	wide, narrow place // in the headers of 64 and of 32 bits
}{
	MajorVersion:        {"MajorVersion", place{0x8, 4}, place{0x8, 4}},
	MinorVersion:        {"MinorVersion", place{0xc, 4}, place{0xc, 4}},
	DirectoryTableBase:  {"DirectoryTableBase", place{0x10, 8}, place{0x10, 4}},
	PfnDatabase:         {"PfnDatabase", place{0x18, 8}, place{0x14, 4}},
	PsLoadedModuleList:  {"PsLoadedModuleList", place{0x20, 8}, place{0x18, 4}},
	PsActiveProcessHead: {"PsActiveProcessHead", place{0x28, 8}, place{0x1c, 4}},
	MachineImageType:    {"MachineImageType", place{0x30, 4}, place{0x20, 4}},
	NumberProcessors:    {"NumberProcessors", place{0x34, 4}, place{0x24, 4}},
	BugcheckCode:        {"BugcheckCode", place{0x38, 4}, place{0x28, 4}},
	BugcheckParameter1:  {"BugcheckParameter1", place{0x40, 8}, place{0x2c, 4}},
	BugcheckParameter2:  {"BugcheckParameter2", place{0x48, 8}, place{0x30, 4}},
	BugcheckParameter3:  {"BugcheckParameter3", place{0x50, 8}, place{0x34, 4}},
	BugcheckParameter4:  {"BugcheckParameter4", place{0x58, 8}, place{0x38, 4}},
	PaeEnabled:          {"PaeEnabled", place{}, place{0x5c, 1}},
	KdSecondaryVersion:  {"KdSecondaryVersion", place{0x104d, 1}, place{0x5d, 1}},
	KdDebuggerDataBlock: {"KdDebuggerDataBlock", place{0x80, 8}, place{0x60, 4}},
	NumberOfRuns:        {"NumberOfRuns", place{0x88, 4}, place{0x64, 4}},
	NumberOfPages:       {"NumberOfPages", place{0x90, 8}, place{0x68, 4}},
	DumpType:            {"DumpType", place{0xf98, 4}, place{0xf88, 4}},
	RequiredDumpSpace:   {"RequiredDumpSpace", place{0xfa0, 8}, place{0xfa0, 8}},
	SystemTime:          {"SystemTime", place{0xfa8, 8}, place{0xfc0, 8}},
	SystemUpTime:        {"SystemUpTime", place{0x1030, 8}, place{0xfb8, 8}},
	MiniDumpFields:      {"MiniDumpFields", place{0x1038, 4}, place{0xf8c, 4}},
	SecondaryDataState:  {"SecondaryDataState", place{0x103c, 4}, place{0xf90, 4}},
	ProductType:         {"ProductType", place{0x1040, 4}, place{0xf94, 4}},
	SuiteMask:           {"SuiteMask", place{0x1044, 4}, place{0xf98, 4}},
	WriterStatus:        {"WriterStatus", place{0x1048, 4}, place{0xf9c, 4}},
}

func (f Field) String() string { return fields[f].name }

// What a header has of more than one number, in bytes.
const (
	validDump = 4 // "DU64" or "DUMP", behind "PAGE"

	bugcheckSize64, bugcheckSize32 = 40, 20 // the code and four parameters, from BugcheckCode on

	runsAt64, runsAt32 = 0x98, 0x6c // {base, count} in pages, words of the guest

	exceptionAt64, exceptionAt32     = 0xf00, 0x7d0 // EXCEPTION_RECORD
	exceptionSize64, exceptionSize32 = 152, 80

	commentAt64, commentAt32 = 0xfb0, 0x820
	commentSize              = 128

	// Padding that QEMU clears in the large header: behind NumberOfRuns and
	// behind DumpType.
	runsPad64, typePad64 = 0x8c, 0xf9c
)

// MaxRuns are the runs that a header has room for: 86 of a 32-bit guest; of a
// 64-bit one 43 by QEMU's count, of which Windows uses 42.
func (h Header) MaxRuns() int {
	if h.Wide() {
		return 43
	}
	return 86
}

// NewHeader is a header with nothing in it but its signature and, as Windows
// begins one, PAGE all over.
func NewHeader(wide bool) Header {
	size, valid := HeaderSize32, "DUMP"
	if wide {
		size, valid = HeaderSize64, "DU64"
	}
	h := Header(strings.Repeat("PAGE", size/4))
	copy(h[validDump:], valid)
	return h
}

// ParseHeader takes b for a header after a look at its signature and size.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a crash dump's header", len(b))
	}
	if got := string(b[:4]); got != "PAGE" {
		return nil, fmt.Errorf("a crash dump's header begins with PAGE, and here is %q: the guest's driver left something else", got)
	}
	size := map[string]int{"DU64": HeaderSize64, "DUMP": HeaderSize32}[string(b[validDump:8])]
	switch {
	case size == 0:
		return nil, fmt.Errorf("behind PAGE a crash dump's header has DU64 or DUMP, and here is %q: the guest's driver left something else", b[validDump:8])
	case len(b) != size:
		return nil, fmt.Errorf("a header that says %s has %d bytes, and here are %d", b[validDump:8], size, len(b))
	}
	return Header(b), nil
}

// Wide reports whether the header is that of a 64-bit guest.
func (h Header) Wide() bool { return len(h) == HeaderSize64 }

// word is the size of the guest's pointers, bytes.
func (h Header) word() int {
	if h.Wide() {
		return 8
	}
	return 4
}

func (h Header) place(f Field) []byte {
	p := fields[f].narrow
	if h.Wide() {
		p = fields[f].wide
	}
	return h[p.off : p.off+p.size]
}

// Uint is the number in a field, 0 if this header has no such field.
func (h Header) Uint(f Field) uint64 { return number(h.place(f)) }

// Put sets a field, if this header has it, to the lower bytes of v.
func (h Header) Put(f Field, v uint64) { putNumber(h.place(f), v) }

// number reads a little-endian number of at most eight bytes.
func number(b []byte) uint64 {
	var all [8]byte
	copy(all[:], b)
	return binary.LittleEndian.Uint64(all[:])
}

func putNumber(b []byte, v uint64) {
	var all [8]byte
	binary.LittleEndian.PutUint64(all[:], v)
	copy(b, all[:])
}

// bugcheck is the code and the parameters of a bugcheck, as KiBugcheckData has
// them.
func (h Header) bugcheck() []byte {
	if h.Wide() {
		return h[fields[BugcheckCode].wide.off:][:bugcheckSize64]
	}
	return h[fields[BugcheckCode].narrow.off:][:bugcheckSize32]
}

// exception is the record of the exception that the crash came of.
func (h Header) exception() []byte {
	if h.Wide() {
		return h[exceptionAt64:][:exceptionSize64]
	}
	return h[exceptionAt32:][:exceptionSize32]
}

// comment is the text for whoever opens the dump.
func (h Header) comment() []byte {
	at := commentAt32
	if h.Wide() {
		at = commentAt64
	}
	return h[at : at+commentSize]
}

// SetComment sets the text that debuggers show of the dump, cut to the 127
// bytes that there is room for.
func (h Header) SetComment(s string) {
	c := h.comment()
	clear(c)
	copy(c[:len(c)-1], s)
}
