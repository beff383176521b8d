// Package gdbtarget shows a stopped process to gdb: an inferior.Process goes
// in, an rsp.Target comes out, which answers as gdb itself answers on the
// process's core file.
//
// It knows nothing of packets, which are package rsp's, nor of virtual
// machines. Below it are inferior, for the process, arch, for the registers,
// and objfile, for the C library's description of itself. Package session's
// users put it together.
package gdbtarget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/inferior"
	"guestcore/internal/rsp"
)

// Options complete what the process itself can tell. The zero value does
// with that alone.
type Options struct {
	// ExePath is the path of the executable as gdb should see it; "": that of
	// the mapping which the program begins in.
	ExePath string
	// Sysroot is where the process's file system is on this machine; "": /.
	Sysroot string
	// Monitor runs gdb's monitor commands; nil: there are none.
	Monitor func(ctx context.Context, command string, out io.Writer) error
	// WantSymbols are asked of gdb, which calls SymbolFound for those it has.
	// Either may be nil.
	WantSymbols func() []string
	SymbolFound func(name string, a addr.HVA)
	// Live tells that the process is not dead, but stopped to be read.
	Live bool
	// Log gets a line for each decision; nil for none.
	Log *slog.Logger
}

// Target is a process as gdb sees it. Its methods are called from one
// goroutine at a time.
type Target struct {
	p       inferior.Process
	opt     Options
	log     *slog.Logger
	host    *arch.Host
	threads map[rsp.TID]*inferior.Thread
	ids     []rsp.TID
	tls     func() (*glibcTLS, error) // looked for once, when first needed
}

var _ interface {
	rsp.Target
	rsp.Featurer
	rsp.PlainRegisters
	rsp.Stopper
	rsp.ThreadInformer
	rsp.Xferer
	rsp.FileSystem
	rsp.TLSResolver
	rsp.SymbolAsker
	rsp.Monitor
	rsp.Refuser
	rsp.ZeroKnower
} = (*Target)(nil)

// New makes a target of a process. The process stays the caller's.
func New(p inferior.Process, opt Options) (*Target, error) {
	t := &Target{p: p, opt: opt, log: opt.Log, threads: map[rsp.TID]*inferior.Thread{}}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	threads := p.Threads()
	if len(threads) == 0 {
		return nil, errors.New("the process has no thread: gdb has nothing to show")
	}
	for i := range threads {
		id := rsp.TID(threads[i].TID)
		if _, twice := t.threads[id]; twice || id <= 0 {
			return nil, fmt.Errorf("thread %d of the process has the id %d, which cannot be shown to gdb", i+1, id)
		}
		t.threads[id] = &threads[i]
		t.ids = append(t.ids, id)
	}
	h := p.Host()
	host, err := arch.HostOf(h.Machine, h.Class, h.Order, threads[0].Note)
	if err != nil {
		return nil, err
	}
	t.host = host
	t.tls = sync.OnceValues(t.findTLS)
	return t, nil
}

// PID is the process's id.
func (t *Target) PID() int { return t.p.PID() }

// Threads lists the threads, the one that crashed first.
func (t *Target) Threads() []rsp.TID { return slices.Clone(t.ids) }

// thread finds a thread by its id.
func (t *Target) thread(id rsp.TID) (*inferior.Thread, error) {
	th := t.threads[id]
	if th == nil {
		return nil, fmt.Errorf("no thread %d", id)
	}
	return th, nil
}

// Stop is the thread that crashed and the signal it died of.
func (t *Target) Stop() (rsp.TID, rsp.Signal) {
	return t.ids[0], rsp.Signal(arch.GDBSignal(t.threads[t.ids[0]].Signal))
}

// Registers are a thread's registers in the order of target.xml.
func (t *Target) Registers(id rsp.TID) ([]rsp.Register, error) {
	th, err := t.thread(id)
	if err != nil {
		return nil, err
	}
	values := t.host.Registers(th.Note)
	regs := make([]rsp.Register, len(values))
	for i, v := range values {
		regs[i] = rsp.Register(v)
	}
	return regs, nil
}

// Features is the description of the registers.
func (t *Target) Features(annex string) ([]byte, bool) {
	if annex != "target.xml" {
		return nil, false
	}
	return t.host.TargetXML(), true
}

// PlainRegisters is the number of registers gdb takes for granted.
func (t *Target) PlainRegisters() int { return t.host.PlainRegisters() }

// ReadMemory reads the process's memory, which all threads share.
func (t *Target) ReadMemory(_ rsp.TID, b []byte, a uint64) (int, error) {
	return t.p.ReadAt(b, int64(a))
}

// ThreadInfo names a thread as gdb does on the core itself: by pthread_self,
// where the thread has one, and the kernel's id.
func (t *Target) ThreadInfo(id rsp.TID) rsp.ThreadInfo {
	th, err := t.thread(id)
	if err != nil {
		return rsp.ThreadInfo{}
	}
	info := rsp.ThreadInfo{Name: th.Name, IDStr: fmt.Sprintf("LWP %d", id)}
	if tp, ok := t.host.ThreadPointer(th.Note); ok && tp != 0 {
		info.IDStr = fmt.Sprintf("Thread %#x (LWP %d)", tp, id)
		info.Handle = make([]byte, 8)
		t.p.Host().Order.PutUint64(info.Handle, tp)
	}
	return info
}

// RefuseResume says why nothing runs here.
func (t *Target) RefuseResume() string {
	if t.opt.Live {
		return "guestcore: the process is only read here, and not resumed before guestcore ends"
	}
	return "guestcore: the process is dead, its core file can be read but not resumed"
}

// Monitor runs a command of the user's.
func (t *Target) Monitor(ctx context.Context, command string, out io.Writer) error {
	if t.opt.Monitor == nil {
		return errors.New("there are no monitor commands here")
	}
	return t.opt.Monitor(ctx, command, out)
}

// WantSymbols are the symbols that gdb is asked for.
func (t *Target) WantSymbols() []string {
	if t.opt.WantSymbols == nil {
		return nil
	}
	return t.opt.WantSymbols()
}

// SymbolFound takes a symbol's address from gdb.
func (t *Target) SymbolFound(name string, a uint64) {
	if t.opt.SymbolFound != nil {
		t.opt.SymbolFound(name, addr.HVA(a))
	}
}
