package ingdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"guestcore/internal/monitor"
	"guestcore/internal/rsp"
	"guestcore/internal/version"
)

// socket is a listening socket without a name: bound in a private directory,
// opened with O_PATH and unlinked, so that connect(2) still finds it through
// the descriptor, and only this process has that.
type socket struct{ net.Listener }

func newSocket() (*socket, error) {
	dir, err := os.MkdirTemp("", "guestcore-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	at, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(at)
	path := fmt.Sprintf("/proc/self/fd/%d/gdb", at) // that of the directory may be too long for a socket's
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		ln.Close()
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := place(fd, SocketFD); err != nil {
		ln.Close()
		return nil, fmt.Errorf("file descriptor %d: %w", SocketFD, err)
	}
	return &socket{ln}, nil
}

// Accept hands out gdb's connection.
func (s *socket) Accept() (io.ReadWriteCloser, error) { return s.Listener.Accept() }

// serveTargets serves gdb's connections to the socket, one after another.
func (s *Server) serveTargets(ctx context.Context) error {
	for {
		conn, err := s.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.serveTarget(ctx, conn); err != nil {
			s.log.Info("gdb left", "err", err)
		}
		conn.Close()
	}
}

// serveTarget serves the core that gdb had open before: connecting closes it.
func (s *Server) serveTarget(ctx context.Context, conn io.ReadWriteCloser) error {
	options := rsp.Options{Log: s.log}
	core, err := s.served()
	if core == nil {
		return rsp.Serve(ctx, conn, nothing{err}, options)
	}
	opened, err := s.openCore(ctx, core)
	if err != nil {
		return rsp.Serve(ctx, conn, nothing{err}, options)
	}
	defer opened.Close()
	m := &monitor.Monitor{Session: opened.Session, Creator: version.String(), Log: s.log}
	defer m.Finish(ctx, io.Discard)
	t, err := opened.Target(m.Run)
	if err != nil {
		return rsp.Serve(ctx, conn, nothing{err}, options)
	}
	return rsp.Serve(ctx, conn, t, options)
}

// nothing is the target of a gdb that has nothing open: a connection without
// a process, whose monitor says why.
type nothing struct{ why error }

func (nothing) PID() int           { return 0 }
func (nothing) Threads() []rsp.TID { return nil }
func (n nothing) reason() error {
	if n.why != nil {
		return n.why
	}
	return errors.New("this gdb had no core file open: use core-file, then guestcore-load")
}

func (n nothing) Registers(rsp.TID) ([]rsp.Register, error) { return nil, n.reason() }

func (n nothing) ReadMemory(rsp.TID, []byte, uint64) (int, error) { return 0, n.reason() }

func (n nothing) Monitor(context.Context, string, io.Writer) error { return n.reason() }
