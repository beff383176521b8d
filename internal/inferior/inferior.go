// Package inferior is the QEMU process as a debugger sees it: memory, threads
// with their registers, the auxiliary vector, the mapped files. How the
// process is reached (a core file, a pid, a gdbserver) is up to the packages
// below this folder; inferior/core is the first of them.
//
// It knows nothing of QEMU, of symbols or of C types. Package gdbtarget shows
// it to gdb, package qemu finds the guest in it.
package inferior

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

// Process is a stopped process.
//
// ReadAt's offset is an HVA (negative as int64 for the vsyscall page). It
// reads what the process would read, files mapped read-only included, and
// returns the readable prefix and a *[FaultError] where that ends.
type Process interface {
	io.ReaderAt
	Host() Host
	PID() int
	// Command is the program's name and arguments, as far as known.
	Command() []string
	// Threads lists the threads; the first one is the one that crashed.
	Threads() []Thread
	// Auxv is the auxiliary vector in the host's own encoding, nil if unknown.
	Auxv() []byte
	// Files lists the files mapped at the time, in the order of address.
	Files() []FileMapping
	// Mappings says where the process's memory is stored, in files numbered
	// as in Backing. Memory that has to be read from a mapped file (program
	// text) is Omitted here although ReadAt reads it. The map is the
	// process's own: clone it to change it.
	Mappings() *extent.Map[addr.HVA, addr.FileOff]
	// Backing is what Mappings numbers. A file is an *[os.File], for copies
	// inside the kernel. All is the process's own.
	Backing() []addr.Source
	// Protection is the access the process had to the mapping at a.
	Protection(a addr.HVA) (elf.ProgFlag, bool)
	Close() error
}

// Host is the machine the process ran on.
type Host struct {
	Machine  elf.Machine
	Class    elf.Class
	Order    binary.ByteOrder
	PageSize uint64
}

// PointerSize is the size of a pointer in bytes.
func (h Host) PointerSize() int {
	if h.Class == elf.ELFCLASS32 {
		return 4
	}
	return 8
}

// Thread is one thread with its registers.
type Thread struct {
	TID    int
	Inner  int    // how the process itself knows the thread, in a PID namespace of its own; 0: by TID
	Name   string // empty when the source does not say
	Signal int    // the host's number of the signal it stopped with, 0 for none
	Notes  []Note // register sets and siginfo, as the kernel's core notes lay them out
}

// OwnTID is the number by which the process itself knows the thread.
func (t *Thread) OwnTID() int { return cmp.Or(t.Inner, t.TID) }

// Note returns the descriptor of the thread's note of a type, nil if it has
// none.
func (t *Thread) Note(typ uint32) []byte {
	for i := range t.Notes {
		if t.Notes[i].Type == typ {
			return t.Notes[i].Desc
		}
	}
	return nil
}

// Note is an ELF note.
type Note struct {
	Name string // without the NUL
	Type uint32
	Desc []byte
}

// FileMapping is a part of a file that the process has mapped.
type FileMapping struct {
	Start, End addr.HVA
	Offset     uint64 // of Start in the file, bytes
	Path       string // as the kernel gave it; " (deleted)" is part of it
}

// ErrFault is what a *[FaultError] is.
var ErrFault = errors.New("memory not readable")

// FaultError says which address could not be read, and why.
type FaultError struct {
	Addr   addr.HVA
	Reason string // empty: not mapped
}

func (e *FaultError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("no memory at %#x", uint64(e.Addr))
	}
	return fmt.Sprintf("memory at %#x: %s", uint64(e.Addr), e.Reason)
}

func (e *FaultError) Is(target error) bool { return target == ErrFault }
