// Package live is a QEMU process that runs, or hangs: its threads are stopped
// (ptrace(2)), its memory is read where it is, and closing it lets it run
// again. Should guestcore be killed, the kernel lets the process run.
//
// Nothing in the process is changed, and nothing of it has to answer. It is
// not a debugger: nothing is resumed but at the end.
//
// Below it is package inferior, whose Process it implements; its neighbour is
// inferior/core.
package live

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
	"guestcore/internal/inferior/procmaps"
)

// Process is a process on this machine. It may be read by several goroutines.
type Process struct {
	pid  int
	dir  string // /proc/PID
	host inferior.Host
	auxv []byte
	log  *slog.Logger

	mem      *os.File // /proc/PID/mem, whose offsets are addresses
	maps     procmaps.Maps
	fileMaps []inferior.FileMapping // of maps: asked for often
	files    []*os.File             // mem, and those of shared mappings
	mappings *extent.Map[addr.HVA, addr.FileOff]
	threads  []inferior.Thread
	awaits   bool  // see [Process.Awaits]
	stop     *stop // nil: the process was not stopped

	mu     sync.Mutex
	mapped map[string]*os.File // opened by OpenMapped
}

var (
	_ inferior.Process  = (*Process)(nil)
	_ inferior.Regioner = (*Process)(nil)
	_ inferior.Opener   = (*Process)(nil)
)

// Open opens the process of that id, which runs on: see [Process.Stop]. log may
// be nil.
func Open(pid int, log *slog.Logger) (_ *Process, err error) {
	p := &Process{pid: pid, dir: fmt.Sprintf("/proc/%d", pid), log: log, mapped: map[string]*os.File{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.mem, err = os.Open(filepath.Join(p.dir, "mem")); err != nil {
		return nil, p.explain(err)
	}
	p.files = []*os.File{p.mem}
	if err := p.look(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// look reads what the process is made of.
func (p *Process) look() (err error) {
	if p.host, err = hostOf(filepath.Join(p.dir, "exe")); err != nil {
		return p.explain(err)
	}
	if p.auxv, err = os.ReadFile(filepath.Join(p.dir, "auxv")); err != nil {
		return p.explain(err)
	}
	if err := p.readThreads(); err != nil {
		return p.explain(err)
	}
	if p.maps, err = readMaps(p.dir); err != nil {
		return p.explain(err)
	}
	if len(p.maps) == 0 {
		return fmt.Errorf("process %d has no memory: it is a kernel thread, or has ended", p.pid)
	}
	p.fileMaps = p.maps.Files()
	p.awaits = p.awaitsMemory()
	return p.mapMemory()
}

// Stop stops the process. It runs again after [Process.Resume], or once it is
// closed. What was asked of the process before may be out of date.
func (p *Process) Stop() (err error) {
	if p.stop, err = stopAll(p.pid, p.host, p.log); err != nil {
		return p.explain(err)
	}
	return p.look()
}

// explain says of an error what the user can do.
func (p *Process) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no process %d", p.pid)
	case errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("process %d has no memory: it is a kernel thread, or has ended", p.pid)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("process %d may not be read by this user: run guestcore as root or with CAP_SYS_PTRACE: %w", p.pid, err)
	}
	return fmt.Errorf("process %d: %w", p.pid, err)
}

// hostOf reads from a process's program what machine it is for.
func hostOf(exe string) (h inferior.Host, err error) {
	f, err := elf.Open(exe)
	if err != nil {
		return h, err
	}
	defer f.Close()
	return inferior.Host{Machine: f.Machine, Class: f.Class, Order: f.ByteOrder, PageSize: uint64(os.Getpagesize())}, nil
}

// readThreads lists the threads, the process's first one in front.
func (p *Process) readThreads() error {
	tids, err := threadIDs(p.pid)
	if err != nil {
		return err
	}
	p.threads = nil
	for _, tid := range tids {
		t := inferior.Thread{TID: tid, Inner: ownTID(p.dir, tid)}
		if name, err := os.ReadFile(filepath.Join(p.dir, "task", strconv.Itoa(tid), "comm")); err == nil {
			t.Name = strings.TrimSuffix(string(name), "\n")
		}
		if p.stop != nil {
			t.Notes = p.stop.notes[tid]
		}
		p.threads = append(p.threads, t)
	}
	return nil
}

// Host is this machine.
func (p *Process) Host() inferior.Host { return p.host }

// PID is the process's id.
func (p *Process) PID() int { return p.pid }

// Command is the command line.
func (p *Process) Command() []string {
	b, err := os.ReadFile(filepath.Join(p.dir, "cmdline"))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// Threads lists the threads, the main one first.
func (p *Process) Threads() []inferior.Thread { return p.threads }

// Auxv is the auxiliary vector.
func (p *Process) Auxv() []byte { return p.auxv }

// Paused is how long the process has been stopped, and was if it runs again;
// 0 if it never was.
func (p *Process) Paused() time.Duration {
	if p.stop == nil {
		return 0
	}
	return p.stop.paused()
}

// Resume lets the process run again. Its memory can still be read, but may
// change meanwhile.
func (p *Process) Resume() error {
	if p.stop == nil {
		return nil
	}
	return p.stop.resume()
}

// Close lets the process run again and closes its files. It may be called
// again.
func (p *Process) Close() error {
	errs := []error{p.Resume()}
	p.mu.Lock()
	defer p.mu.Unlock()
	for path, f := range p.mapped {
		errs = append(errs, f.Close())
		delete(p.mapped, path)
	}
	for _, f := range p.files {
		errs = append(errs, f.Close())
	}
	p.files = nil
	return errors.Join(errs...)
}

// ReadAt reads the process's memory, see [inferior.Process].
func (p *Process) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 { // the vsyscall page, which no system call reads
		return 0, &inferior.FaultError{Addr: addr.HVA(off)}
	}
	n, err := p.mem.ReadAt(b, off)
	if err == nil || n == len(b) {
		return n, nil
	}
	// The kernel stops at the first page that is not there.
	fault := &inferior.FaultError{Addr: addr.HVA(off) + addr.HVA(n)}
	if m, ok := p.maps.At(fault.Addr); ok {
		fault.Reason = fmt.Sprintf("the kernel does not give it (%v)", err)
		if m.Path != "" {
			fault.Reason += ", it is mapped from " + m.Path
		}
	}
	if errors.Is(err, io.EOF) && !p.alive() {
		fault.Reason = "the process has ended"
	}
	return n, fault
}

func (p *Process) alive() bool {
	_, err := os.Stat(filepath.Join(p.dir, "auxv"))
	return err == nil
}
