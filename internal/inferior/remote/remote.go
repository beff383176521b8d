// Package remote is a process that a gdbserver has attached to, on this
// machine or another: its memory and its files are asked for by the GDB Remote
// Serial Protocol. It is read as gdb would read it, and nothing is resumed.
//
// Below it are package inferior, whose Process it implements, and the
// protocol's client. Its neighbours are inferior/core and inferior/live; the
// latter is the faster one where the process is on this machine.
package remote

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/inferior"
	"guestcore/internal/inferior/procmaps"
	"guestcore/internal/rsp/client"
)

// Process is a process on the other side of a connection. It may be read by
// several goroutines, one after another.
type Process struct {
	ctx      context.Context
	c        *client.Client
	pid      int
	host     inferior.Host
	auxv     []byte
	maps     procmaps.Maps
	fileMaps []inferior.FileMapping // of maps: asked for often
	mem      *extent.Map[addr.HVA, addr.FileOff]

	mu sync.Mutex // held while the server is asked
}

var (
	_ inferior.Process  = (*Process)(nil)
	_ inferior.Regioner = (*Process)(nil)
)

// Open learns what the server's process is made of. ctx is that of all later
// reads too. The connection stays the caller's.
func Open(ctx context.Context, c *client.Client, log *slog.Logger) (*Process, error) {
	p := &Process{ctx: ctx, c: c}
	var err error
	if p.pid, err = currentPID(ctx, c); err != nil {
		return nil, fmt.Errorf("which process the server has: %w", err)
	}
	if p.auxv, err = c.Object(ctx, "auxv", ""); err != nil {
		return nil, fmt.Errorf("process %d: %w", p.pid, err)
	}
	maps, err := c.ReadFile(ctx, fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", p.pid, err)
	}
	if p.maps, err = procmaps.Read(bytes.NewReader(maps)); err != nil {
		return nil, fmt.Errorf("process %d: %w", p.pid, err)
	}
	if p.host, err = p.findHost(); err != nil {
		return nil, fmt.Errorf("process %d: %w", p.pid, err)
	}
	p.fileMaps = p.maps.Files()
	p.mem = &extent.Map[addr.HVA, addr.FileOff]{}
	for _, m := range p.maps {
		if int64(m.Start) < 0 { // vsyscall
			continue
		}
		if err := p.mem.Insert(extent.Extent[addr.HVA, addr.FileOff]{Addr: m.Start, Size: m.Size(), Off: addr.InFile(0, int64(m.Start))}); err != nil {
			return nil, fmt.Errorf("process %d: mappings: %w", p.pid, err)
		}
	}
	if log != nil {
		log.Debug("process of the server", "pid", p.pid, "machine", p.host.Machine, "mappings", len(p.maps))
	}
	return p, nil
}

// currentPID asks for the current thread, and takes the process from it: the
// server tells of both, or of the process's first thread.
func currentPID(ctx context.Context, c *client.Client) (int, error) {
	b, err := c.Ask(ctx, "qC")
	if err != nil {
		return 0, err
	}
	id, ok := strings.CutPrefix(string(b), "QC")
	if !ok {
		return 0, fmt.Errorf("an answer to qC is %q", b)
	}
	if process, ok := strings.CutPrefix(id, "p"); ok {
		id, _, _ = strings.Cut(process, ".")
	} else if b, err := c.Ask(ctx, "qfThreadInfo"); err == nil && b[0] == 'm' {
		id, _, _ = strings.Cut(string(b[1:]), ",")
	}
	pid, err := strconv.ParseInt(id, 16, 32)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("an answer to qC is %q", b)
	}
	return int(pid), nil
}

// findHost reads what machine the process is for out of the ELF header of its
// program, which is mapped where the auxiliary vector says.
func (p *Process) findHost() (inferior.Host, error) {
	for _, m := range p.maps {
		head := make([]byte, 64)
		if !m.IsFile() || m.Offset != 0 {
			continue
		}
		if n, _ := p.ReadAt(head, int64(m.Start)); n < len(head) || string(head[:4]) != elf.ELFMAG {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(withoutTables(head)))
		if err != nil {
			continue
		}
		h := inferior.Host{Machine: f.Machine, Class: f.Class, Order: f.ByteOrder, PageSize: 4096}
		p.host = h
		if size, ok := inferior.AuxValue(p, inferior.AT_PAGESZ); ok && size >= 4096 && size <= 1<<20 && size&(size-1) == 0 {
			h.PageSize = size
		}
		return h, nil
	}
	return inferior.Host{}, fmt.Errorf("none of its %d mappings begins with an ELF header", len(p.maps))
}

// withoutTables is an ELF header that tells of no tables, since those lie
// behind what was read.
func withoutTables(head []byte) []byte {
	h := bytes.Clone(head)
	if elf.Class(h[elf.EI_CLASS]) == elf.ELFCLASS32 {
		clear(h[28:36])
		clear(h[44:52])
	} else {
		clear(h[32:48])
		clear(h[56:64])
	}
	return h
}

// Host is the server's machine.
func (p *Process) Host() inferior.Host { return p.host }

// PID is the process's id on the server's machine.
func (p *Process) PID() int { return p.pid }

// Command is the command line.
func (p *Process) Command() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.c.ReadFile(p.ctx, fmt.Sprintf("/proc/%d/cmdline", p.pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// Threads are the server's own to show.
func (p *Process) Threads() []inferior.Thread { return nil }

// Auxv is the auxiliary vector.
func (p *Process) Auxv() []byte { return p.auxv }

// Files lists the mapped files.
func (p *Process) Files() []inferior.FileMapping { return p.fileMaps }

// Regions lists the mappings.
func (p *Process) Regions() []inferior.Region { return p.maps.Regions() }

// Protection is the access the process has at a.
func (p *Process) Protection(a addr.HVA) (elf.ProgFlag, bool) {
	m, ok := p.maps.At(a)
	return m.Prot, ok
}

// Held reads a mapped file as far as it is in the process's memory.
func (p *Process) Held(path string) io.ReaderAt { return p.maps.Held(path, p) }

// Mappings says that all memory is to be read at its own address.
func (p *Process) Mappings() *extent.Map[addr.HVA, addr.FileOff] { return p.mem }

// Backing is the process's memory alone.
func (p *Process) Backing() []addr.Source { return []addr.Source{p} }

// ReadAt reads memory, see [inferior.Process].
func (p *Process) ReadAt(b []byte, off int64) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.c.ReadMemory(p.ctx, b, uint64(off))
	if err == nil || n == len(b) {
		return n, nil
	}
	if p.ctx.Err() != nil {
		return n, context.Cause(p.ctx)
	}
	return n, &inferior.FaultError{Addr: addr.HVA(off) + addr.HVA(n), Reason: err.Error()}
}

// Executable copies the program from the server's machine into w.
func (p *Process) Executable(w io.Writer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := p.c.ReadFile(p.ctx, fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Name says where the memory is.
func (p *Process) Name() string { return fmt.Sprintf("process %d of the gdbserver", p.pid) }

// Close does nothing: the connection is the caller's.
func (p *Process) Close() error { return nil }

// IsHere reports whether the process is one of this machine: the auxiliary
// vector holds random addresses of its own.
func (p *Process) IsHere() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", p.pid))
	return err == nil && bytes.Equal(b, p.auxv)
}
