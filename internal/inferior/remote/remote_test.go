package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
	"guestcore/internal/rsp"
	"guestcore/internal/rsp/client"
)

// self is the process of the test as a server shows it, but for what other
// files are to be read instead of its own.
type self struct {
	memory  *os.File
	instead map[string]string // by the name below /proc/PID, auxv too; "": there is none
}

func (self) PID() int                                      { return os.Getpid() }
func (self) Threads() []rsp.TID                            { return []rsp.TID{rsp.TID(os.Getpid())} }
func (self) Registers(rsp.TID) ([]rsp.Register, error)     { return nil, errors.New("none") }
func (self) XferObjects() []string                         { return []string{"auxv"} }
func (self) Readlink(string) (string, error)               { return "", fs.ErrNotExist }
func (s self) Xfer(_, _ string, _ rsp.TID) ([]byte, error) { return s.read("auxv") }

func (s self) read(name string) ([]byte, error) {
	if text, ok := s.instead[name]; ok {
		if text == "" {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
	return os.ReadFile("/proc/self/" + name)
}

func (s self) ReadMemory(_ rsp.TID, p []byte, a uint64) (int, error) {
	return s.memory.ReadAt(p, int64(a))
}

func (s self) OpenFile(path string) (rsp.File, error) {
	name, ok := strings.CutPrefix(path, fmt.Sprintf("/proc/%d/", os.Getpid()))
	if !ok {
		return nil, fs.ErrNotExist
	}
	content, err := s.read(name)
	if err != nil {
		return nil, err
	}
	return file{bytes.NewReader(content)}, nil
}

type file struct{ *bytes.Reader }

func (file) Close() error { return nil }

// open is what Open makes of a server that shows s.
func open(t *testing.T, ctx context.Context, s self) (*Process, error) {
	t.Helper()
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	s.memory = memory
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- rsp.Serve(t.Context(), there, s, rsp.Options{}) }()
	c := client.New(here)
	t.Cleanup(func() {
		c.Close()
		<-served
		memory.Close()
	})
	if err := c.Hello(ctx); err != nil {
		t.Fatal(err)
	}
	return Open(ctx, c, nil)
}

var known = [...]byte{0x5c, 0xa1, 0xab, 0x1e, '#', '$', '*', '}', 0, 0, 0, 0, 0, 0, 0, 0, 1}

// TestSelf holds what is read through a server to what the process knows of
// itself.
func TestSelf(t *testing.T) {
	p, err := open(t, t.Context(), self{})
	if err != nil {
		t.Fatal(err)
	}
	if p.PID() != os.Getpid() || !p.IsHere() {
		t.Errorf("process %d, of this machine %t; it is %d, of this one", p.PID(), p.IsHere(), os.Getpid())
	}
	if got := p.Command(); !slices.Equal(got, os.Args) {
		t.Errorf("the command is said to be %q, not %q", got, os.Args)
	}
	if h := p.Host(); h.PageSize != uint64(os.Getpagesize()) || h.Order.Uint16([]byte{1, 0}) != binary.NativeEndian.Uint16([]byte{1, 0}) {
		t.Errorf("the host is said to be %v", h)
	}
	at := addr.HVA(reflect.ValueOf(&known).Pointer())
	got := make([]byte, len(known))
	if n, err := p.ReadAt(got, int64(at)); n != len(known) || err != nil || !bytes.Equal(got, known[:]) {
		t.Errorf("%d bytes, %x, %v; want %x", n, got, err, known)
	}
	if _, ok := p.Protection(at); !ok {
		t.Errorf("no mapping is said to be at %#x", at)
	}
	if _, ok := p.Mappings().Find(at); !ok {
		t.Errorf("no memory is said to be at %#x", at)
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := p.Executable(&copied); err != nil || !bytes.Equal(copied.Bytes(), exe) {
		t.Errorf("%d bytes of the program, %v; it has %d", copied.Len(), err, len(exe))
	}
}

// TestFault reads where nothing is mapped.
func TestFault(t *testing.T) {
	p, err := open(t, t.Context(), self{})
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096 // of memory that the kernel lets nobody map
	n, err := p.ReadAt(make([]byte, 8), page)
	var fault *inferior.FaultError
	if n != 0 || !errors.As(err, &fault) || fault.Addr != page {
		t.Errorf("%d bytes, %v; want a fault at %#x", n, err, page)
	}
}

// TestBadServers has servers tell what cannot be of a process.
func TestBadServers(t *testing.T) {
	for _, tt := range []struct{ name, file, content, want string }{
		{"no auxv", "auxv", "", "auxv: the server answers with error"},
		{"no mappings", "maps", "", "/maps on the server: error 2"},
		{"mappings that are none", "maps", "from here to there\n", "a line of maps was not understood"},
		{"no program", "maps", "10000-20000 rw-p 00000000 00:00 0 \n", "none of its 1 mappings begins with an ELF header"},
		{"a program elsewhere", "maps", "1000-2000 r-xp 00000000 08:01 7 /bin/true\n", "none of its 1 mappings begins with an ELF header"},
		{"a mapping that ends before it begins", "maps", "2000-1000 r-xp 00000000 08:01 7 /bin/true\n", "a line of maps was not understood"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := open(t, t.Context(), self{instead: map[string]string{tt.file: tt.content}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("process %v, error %v; want one with %q", p, err, tt.want)
			}
		})
	}
}

// TestElsewhere takes a process with another auxiliary vector for one of
// another machine.
func TestElsewhere(t *testing.T) {
	p, err := open(t, t.Context(), self{instead: map[string]string{"auxv": strings.Repeat("\x00", 32), "cmdline": ""}})
	if err != nil {
		t.Fatal(err)
	}
	if p.IsHere() {
		t.Error("it is said to be of this machine")
	}
	if c := p.Command(); c != nil {
		t.Errorf("the command is said to be %q, and there is none", c)
	}
}

// TestCancelled has reads end with the reason that the context gives.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	p, err := open(t, ctx, self{})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the user had enough")
	cancel(why)
	if _, err := p.ReadAt(make([]byte, 8), int64(reflect.ValueOf(&known).Pointer())); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
}
