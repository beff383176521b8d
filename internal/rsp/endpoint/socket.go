package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket listens on TCP or on a unix socket.
type Socket struct {
	ln     net.Listener
	target string
}

// Listen opens a socket:
//
//	127.0.0.1:1234, [::1]:1234     that loopback address
//	:1234, localhost:1234          127.0.0.1
//	HOST:0                         a port that is free
//	192.0.2.1:1234, 0.0.0.0:1234   only if allowRemote
//	unix:PATH                      a socket that only its owner may use
//
// A unix socket that a server has left behind is replaced, and removed by
// Close.
func Listen(spec string, allowRemote bool) (*Socket, error) {
	if path, isUnix := strings.CutPrefix(spec, "unix:"); isUnix {
		return listenUnix(path)
	}
	return listenTCP(spec, allowRemote)
}

// Target is what to give to gdb's command "target remote".
func (s *Socket) Target() string { return s.target }

// Accept waits for a client.
func (s *Socket) Accept() (io.ReadWriteCloser, error) { return s.ln.Accept() }

// Close ends the listening; clients stay connected.
func (s *Socket) Close() error { return s.ln.Close() }

func listenTCP(spec string, allowRemote bool) (*Socket, error) {
	host, port, err := net.SplitHostPort(spec)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: give HOST:PORT, :PORT or unix:PATH", spec)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	addrs, err := net.LookupIP(host)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: the name %s has no address: %w", spec, host, err)
	}
	for _, a := range addrs {
		if !a.IsLoopback() && !allowRemote {
			return nil, fmt.Errorf("cannot listen on %q: whoever reaches it can read all memory without a password; "+
				"use a loopback address (an ssh tunnel reaches it), or give --allow-remote", spec)
		}
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		// A client whose machine is gone is noticed within half a minute.
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	ln, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(addrs[0].String(), port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %s is in use: choose another one with --listen, or let --listen %s find a free one",
			port, net.JoinHostPort(host, "0"))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("port %s needs more rights: choose one above 1023 with --listen", port)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %q: %w", spec, err)
	}
	return &Socket{ln, ln.Addr().String()}, nil
}

// maxPath is the longest name of a unix socket (sun_path in <sys/un.h>, less
// the NUL).
const maxPath = 107

func listenUnix(path string) (*Socket, error) {
	if path == "" || len(path) > maxPath {
		return nil, fmt.Errorf("cannot listen on unix:%s: the path must have 1 to %d characters, this one has %d", path, maxPath, len(path))
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux the file that bind makes takes its mode from the socket:
		// nobody else can connect, not even before a chmod of the file.
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s: %w", path, cause(err))
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs // gdb may be in another folder
	}
	return &Socket{ln, path}, nil
}

// removeStale removes the socket of a server that is gone. Anything else at
// that path is an error.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot listen on unix:%s: %w", path, cause(err))
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("cannot listen on unix:%s: the file exists and is no socket; choose another path or remove it", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot listen on unix:%s: another server has it; stop that one or choose another path", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("cannot replace the socket that a server left behind: %w", err)
	}
	return nil
}

// cause is what the kernel said, without the words around it.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
