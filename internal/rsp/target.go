package rsp

import (
	"context"
	"io"
)

// Target is what is served. These methods are required; the interfaces below
// are asked for by type assertion, and what is told to the client (qSupported)
// follows from them.
//
// The methods of a Target are called from one goroutine at a time, also when
// clients come one after another. Monitor runs in a goroutine of its own, and
// no other method is called before it has returned. What a command leaves
// running in the background therefore must be safe beside all of them.
type Target interface {
	PID() int
	// Threads lists the threads; the first one is current on connect. A
	// target without threads is a connection without a process.
	Threads() []TID
	// Registers are t's registers in the order of target.xml.
	Registers(t TID) ([]Register, error)
	// ReadMemory reads as t sees the memory. It fills as much of p as is
	// readable from addr on without a gap and returns that length; an error
	// with 0 < n < len(p) is the reason for the gap and not shown to gdb.
	ReadMemory(t TID, p []byte, addr uint64) (n int, err error)
}

// TID is the id of a thread, greater than 0.
type TID int

// Register is the value of one register.
type Register struct {
	Bits int
	Data []byte // Bits/8 bytes in the target's byte order; nil: not available
}

// ZeroKnower knows of memory that it is zeros without reading it, so that a
// search can pass it by.
type ZeroKnower interface {
	// ZerosAt is how many bytes from addr on are readable and zeros, as far
	// as is known at no cost; 0 if nothing is.
	ZerosAt(addr uint64) uint64
}

// Featurer describes the registers: annex "target.xml" and what it includes.
type Featurer interface {
	Features(annex string) ([]byte, bool)
}

// PlainRegisters is the number of leading registers that a client expects
// when it cannot read target.xml.
type PlainRegisters interface {
	PlainRegisters() int
}

// Stopper says which thread stopped the process, and by which signal.
type Stopper interface {
	Stop() (TID, Signal)
}

// Signal is a signal in gdb's own numbering, which is that of no kernel
// (include/gdb/signals.def: SIGBUS is 10, SIGUSR1 30, SIGCHLD 20).
type Signal uint8

// SignalTrap is told to the client when the target is no [Stopper].
const SignalTrap Signal = 5

// ThreadInformer says more of a thread than its id.
type ThreadInformer interface {
	ThreadInfo(t TID) ThreadInfo
}

// ThreadInfo is what "info threads" shows. All of it may be empty.
type ThreadInfo struct {
	Name   string
	IDStr  string // "Thread 0x7f… (LWP 12)", taken by gdb 17 and later
	Extra  string // shown in parentheses
	Handle []byte // pthread_self in the target's byte order
}

// Xferer serves further qXfer objects, read only: "auxv", "siginfo",
// "exec-file". An object in the list must not turn out to be unknown later.
// "features" and "threads" are the server's own.
type Xferer interface {
	XferObjects() []string
	Xfer(object, annex string, t TID) ([]byte, error)
}

// FileSystem gives gdb the target's files. An error that is an
// [io/fs.ErrNotExist], [io/fs.ErrPermission] or [syscall.Errno] reaches gdb
// as such.
type FileSystem interface {
	OpenFile(name string) (File, error)
	Readlink(name string) (string, error)
}

// File is an open file of a [FileSystem].
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// TLSResolver finds a thread-local variable: offset is its place in the block
// of the module whose struct link_map is at linkMap.
type TLSResolver interface {
	TLSAddr(t TID, offset, linkMap uint64) (uint64, error)
}

// SymbolAsker wants the addresses of symbols that gdb may know. SymbolFound is
// called for those it knows, again when it has loaded other files.
type SymbolAsker interface {
	WantSymbols() []string
	SymbolFound(name string, addr uint64)
}

// Monitor runs gdb's "monitor" commands; command is verbatim, quotes included.
// What is written to out is shown while the command runs. ctx ends when the
// user interrupts or the client is gone; Monitor must then return soon, since
// the client's next request waits for it. The text of an error is shown to the
// user and the command fails in gdb.
type Monitor interface {
	Monitor(ctx context.Context, command string, out io.Writer) error
}

// Refuser says in one line why the target cannot be resumed.
type Refuser interface {
	RefuseResume() string
}
