package rsp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/rsptest"
)

// bare is a target with nothing optional: two threads, 64 KiB of memory at
// 0x10000 whose words hold their addresses, zeros from the middle on.
type bare struct{ threads []rsp.TID }

const (
	memStart = 0x10000
	memEnd   = 0x20000
	zeros    = 0x18000
)

func newBare() *bare { return &bare{threads: []rsp.TID{0x64, 0x65}} }

func (*bare) PID() int             { return 0x64 }
func (b *bare) Threads() []rsp.TID { return b.threads }

func (*bare) Registers(t rsp.TID) ([]rsp.Register, error) {
	word := func(v uint64) rsp.Register {
		return rsp.Register{Bits: 64, Data: binary.LittleEndian.AppendUint64(nil, v)}
	}
	var regs []rsp.Register
	for i := range 16 {
		regs = append(regs, word(uint64(t)<<8|uint64(i)))
	}
	regs[7] = word(memStart + 0x800) // rsp
	regs = append(regs, word(memStart+0x100))
	for range 7 { // eflags cs ss ds es fs gs
		regs = append(regs, rsp.Register{Bits: 32, Data: []byte{2, 0, 0, 0}})
	}
	for range 8 { // st0 to st7
		regs = append(regs, rsp.Register{Bits: 80})
	}
	for range 8 { // fctrl and on
		regs = append(regs, rsp.Register{Bits: 32})
	}
	return regs, nil
}

func (*bare) ReadMemory(_ rsp.TID, p []byte, addr uint64) (int, error) {
	n := 0
	for ; n < len(p) && addr >= memStart && addr < memEnd; n, addr = n+1, addr+1 {
		p[n] = 0
		if addr < zeros {
			p[n] = byte((addr &^ 7) >> (addr % 8 * 8))
		}
	}
	if n < len(p) {
		return n, fmt.Errorf("no memory at %#x", addr)
	}
	return n, nil
}

// rich has everything a target may have.
type rich struct {
	*bare
	mu      sync.Mutex
	symbols map[string]uint64
	ended   string        // how the last "wait" ended
	waiting chan struct{} // "wait" has begun
}

func newRich() *rich {
	return &rich{bare: newBare(), symbols: map[string]uint64{}, ended: "never begun", waiting: make(chan struct{}, 8)}
}

const targetXML = `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target>
<architecture>i386:x86-64</architecture>
<osabi>GNU/Linux</osabi>
<xi:include href="core.xml" xmlns:xi="http://www.w3.org/2001/XInclude"/>
</target>
`

func coreXML() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?>
<!DOCTYPE feature SYSTEM "gdb-target.dtd">
<feature name="org.gnu.gdb.i386.core">
`)
	reg := func(bits int, typ string, names ...string) {
		for _, n := range names {
			fmt.Fprintf(&b, `<reg name="%s" bitsize="%d" type="%s"/>`+"\n", n, bits, typ)
		}
	}
	reg(64, "int64", "rax", "rbx", "rcx", "rdx", "rsi", "rdi")
	reg(64, "data_ptr", "rbp", "rsp")
	reg(64, "int64", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")
	reg(64, "code_ptr", "rip")
	reg(32, "int", "eflags", "cs", "ss", "ds", "es", "fs", "gs")
	reg(80, "i387_ext", "st0", "st1", "st2", "st3", "st4", "st5", "st6", "st7")
	reg(32, "int", "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop")
	b.WriteString("</feature>\n")
	return b.String()
}

func (*rich) Features(annex string) ([]byte, bool) {
	text, ok := map[string]string{"target.xml": targetXML, "core.xml": coreXML()}[annex]
	return []byte(text), ok
}

func (*rich) PlainRegisters() int { return 24 }

const sigSegv = 11

func (*rich) Stop() (rsp.TID, rsp.Signal) { return 0x65, sigSegv }

func (*rich) ThreadInfo(t rsp.TID) rsp.ThreadInfo {
	return rsp.ThreadInfo{
		Name:   map[rsp.TID]string{0x64: "main", 0x65: "<worker>"}[t],
		Extra:  "vCPU",
		IDStr:  fmt.Sprintf("Thread (LWP %d)", t),
		Handle: []byte{1, 2},
	}
}

func (*rich) XferObjects() []string { return []string{"auxv", "exec-file"} }

func (*rich) Xfer(object, annex string, _ rsp.TID) ([]byte, error) {
	switch object {
	case "auxv": // AT_PAGESZ and AT_NULL
		var b []byte
		for _, v := range []uint64{6, 4096, 0, 0} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		return b, nil
	case "exec-file":
		return []byte("/no/such/program"), nil
	}
	return nil, fmt.Errorf("no object %q", object)
}

type stringFile struct{ *strings.Reader }

func (stringFile) Close() error { return nil }

func (*rich) OpenFile(name string) (rsp.File, error) {
	switch name {
	case "/proc/100/cmdline":
		return stringFile{strings.NewReader("qemu\x00-m\x00}#$*\x00")}, nil
	case "/secret":
		return nil, fs.ErrPermission
	}
	return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
}

func (*rich) Readlink(name string) (string, error) {
	if name == "/proc/100/exe" {
		return "/usr/bin/qemu", nil
	}
	return "", fs.ErrNotExist
}

func (*rich) TLSAddr(t rsp.TID, offset, linkMap uint64) (uint64, error) {
	if linkMap == 0 {
		return 0, errors.New("no module")
	}
	return linkMap + offset + uint64(t), nil
}

func (*rich) WantSymbols() []string { return []string{"main", "address_space_memory"} }

func (r *rich) SymbolFound(name string, addr uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.symbols[name] = addr
}

func (*rich) RefuseResume() string { return "this one is dead" }

func (r *rich) setEnded(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = s
}

func (r *rich) lastEnded() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// Monitor has a command for every way in which one may behave.
func (r *rich) Monitor(ctx context.Context, command string, out io.Writer) error {
	name, arg, _ := strings.Cut(command, " ")
	switch name {
	case "echo":
		fmt.Fprintln(out, arg)
	case "mute":
	case "partial":
		fmt.Fprint(out, "no line end")
	case "many":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		for i := range n {
			fmt.Fprintf(out, "line %d of many\n", i)
		}
	case "steps":
		for i := range 3 {
			fmt.Fprintf(out, "step %d\n", i)
			time.Sleep(100 * time.Millisecond)
		}
	case "sleep": // longer than gdb waits for a packet
		time.Sleep(7 * time.Second)
		fmt.Fprintln(out, "slept")
	case "fail":
		fmt.Fprint(out, "half a line")
		return errors.New("it went wrong: try another one")
	case "panic":
		panic("a defect")
	case "wait":
		fmt.Fprintln(out, "waiting")
		r.setEnded("still waiting")
		r.waiting <- struct{}{}
		<-ctx.Done()
		fmt.Fprintln(out, "cleaning up")
		time.Sleep(50 * time.Millisecond)
		r.setEnded(context.Cause(ctx).Error())
		return ctx.Err()
	case "flood":
		r.setEnded("still flooding")
		r.waiting <- struct{}{}
		for ctx.Err() == nil {
			fmt.Fprintln(out, strings.Repeat("flood ", 20))
		}
		r.setEnded(context.Cause(ctx).Error())
		return ctx.Err()
	case "ended":
		fmt.Fprintln(out, r.lastEnded())
	default:
		return fmt.Errorf("unknown command %q: try echo", name)
	}
	return nil
}

// testLog shows the server's log with the test's.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// connect serves target to one client, over TCP since a real stream has
// buffers. The end of the test waits for the server.
func connect(t *testing.T, target rsp.Target, o rsp.Options) *rsptest.Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if o.Log == nil {
		o.Log = testLog(t)
	}
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- rsp.Serve(context.Background(), theirs, target, o) }()
	c := rsptest.NewClient(ours)
	t.Cleanup(func() {
		c.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

// checkLeaks fails the test if it leaves goroutines behind.
func checkLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// ZerosAt says of the upper half only that it is zeros, in pieces.
func (*rich) ZerosAt(addr uint64) uint64 {
	const piece = 0x1000
	if addr < zeros || addr >= memEnd {
		return 0
	}
	return piece - addr%piece
}
