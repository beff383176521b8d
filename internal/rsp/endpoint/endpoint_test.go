package endpoint

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListenTCP(t *testing.T) {
	for _, tt := range []struct {
		spec        string
		allowRemote bool
		want        string // in the address, or in the error
		fails       bool
	}{
		{"127.0.0.1:0", false, "127.0.0.1:", false},
		{":0", false, "127.0.0.1:", false},
		{"localhost:0", false, "127.0.0.1:", false},
		{"0.0.0.0:0", false, "--allow-remote", true},
		{"192.0.2.1:0", false, "--allow-remote", true},
		{"[::]:0", false, "--allow-remote", true},
		{"0.0.0.0:0", true, ":", false},
		{"1234", false, "give HOST:PORT", true},
		{"", false, "give HOST:PORT", true},
		{"127.0.0.1:99999", false, "99999", true},
		{"no-such-host.invalid:0", false, "no address", true},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			s, err := Listen(tt.spec, tt.allowRemote)
			if tt.fails {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got %v, want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, port, _ := net.SplitHostPort(s.Target()); !strings.Contains(s.Target(), tt.want) || port == "0" {
				t.Errorf("listens on %s", s.Target())
			}
		})
	}
}

func TestListenIPv6(t *testing.T) {
	if probe, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6 loopback")
	} else {
		probe.Close()
	}
	s, err := Listen("[::1]:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.Target(), "[::1]:") {
		t.Errorf("listens on %s", s.Target())
	}
}

func TestPortInUse(t *testing.T) {
	first, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = Listen(first.Target(), false)
	if err == nil {
		t.Fatal("two servers on one port")
	}
	_, port, _ := net.SplitHostPort(first.Target())
	for _, want := range []string{"port " + port + " is in use", "--listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestUnixSocketMode(t *testing.T) {
	// Not even a careless umask makes it open to others.
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen("unix:"+path, false)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode is %v", st.Mode())
	}
	if s.Target() != path {
		t.Errorf("target is %s", s.Target())
	}
	s.Close()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

func TestUnixSocketPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(dir, "live")
	s, err := Listen("unix:"+live, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(live, link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"a file", file, "is no socket"},
		{"a link", link, "is no socket"},
		{"a live server", live, "another server has it"},
		{"no folder", filepath.Join(dir, "none", "s"), "no such file or directory"},
		{"too long", filepath.Join(dir, strings.Repeat("s", 108)), "1 to 107 characters"},
		{"empty", "", "1 to 107 characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Listen("unix:"+tt.path, false)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file now holds %q, %v", b, err)
	}
}

func TestStaleUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the test left no stale socket: %v", err)
	}
	s, err := Listen("unix:"+path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// pipes gives a Stdio and its client's ends.
func pipes(t *testing.T) (s *Stdio, toServer, fromServer *os.File) {
	t.Helper()
	in, toServer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromServer, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s, err = NewStdio(in, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in, out, toServer, fromServer} {
			f.Close()
		}
	})
	return s, toServer, fromServer
}

func TestStdio(t *testing.T) {
	s, toServer, fromServer := pipes(t)
	c, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(toServer, "hello")
	buf := make([]byte, 16)
	if n, err := c.Read(buf); string(buf[:n]) != "hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	// More than a pipe holds: written while it is read.
	big := strings.Repeat("0123456789abcdef", 20000)
	go io.WriteString(c, big)
	got := make([]byte, len(big))
	if _, err := io.ReadFull(fromServer, got); err != nil || string(got) != big {
		t.Errorf("what was written is not what came: %v", err)
	}
	toServer.Close()
	if _, err := c.Read(buf); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	c.Close()
	if _, err := s.Accept(); err != io.EOF {
		t.Errorf("a second Accept: %v", err)
	}
}

// Close ends a Read and a Write that wait.
func TestStdioClose(t *testing.T) {
	s, _, _ := pipes(t)
	c, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
	go func() { _, err := c.Write(make([]byte, 1<<20)); ended <- err }()
	time.Sleep(50 * time.Millisecond)
	s.Close()
	for range 2 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("no error")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Read or Write goes on")
		}
	}
}

func TestPty(t *testing.T) {
	p, err := OpenPty()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i, leave := range []string{"the client leaves", "the server closes", "the client leaves"} {
		t.Run(leave, func(t *testing.T) {
			tty, err := os.OpenFile(p.Target(), os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tty.Close()
			// What a terminal would change, if it were not raw.
			const sent = "$a\r\n\x03\x04#00"
			io.WriteString(tty, sent)
			c, err := p.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != sent {
				t.Errorf("client %d: read %q, %v", i, got, err)
			}
			io.WriteString(c, sent)
			if _, err := io.ReadFull(tty, got); err != nil || string(got) != sent {
				t.Errorf("client %d: the client read %q, %v", i, got, err)
			}
			ended := make(chan error, 1)
			go func() { _, err := c.Read(got); ended <- err }()
			time.Sleep(20 * time.Millisecond)
			if leave == "the client leaves" {
				tty.Close()
			} else {
				c.Close()
			}
			select {
			case err := <-ended:
				if err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("Read goes on")
			}
			c.Close()
		})
	}
}

func TestPtyClose(t *testing.T) {
	p, err := OpenPty()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := p.Accept(); ended <- err }()
	time.Sleep(20 * time.Millisecond)
	p.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Accept gave a client")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Accept goes on")
	}
}
