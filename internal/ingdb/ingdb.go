// Package ingdb is guestcore inside gdb's own process, where the library of
// cgo_ext brings it. It finds what this gdb has open by itself, a core file or
// a process it traces, and offers it in two ways: as a target on a private
// socket, and as the command dump-guest-memory, which scripts/
// dump-guest-memory.gdb defines.
//
// Nothing of it has a name in the file system. gdb and the shells it starts
// reach it by numbers of file descriptors: gdb as /proc/self/fd/900, its
// children as /proc/$PPID/fd/902. Thus nothing is left behind, however gdb
// ends.
//
// It knows no cgo and calls nothing of gdb's; what is below it is what the
// program has.
package ingdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The file descriptors of gdb that scripts use. They are far above those that
// gdb opens itself.
const (
	SocketFD  = 900 // for gdb's "target remote /proc/self/fd/900"
	ScriptFD  = 901 // what the last command has gdb do, to be sourced
	RequestFD = 902 // a shell writes a command here
	AnswerFD  = 903 // and reads here what it says
)

// Server is guestcore inside gdb.
type Server struct {
	log     *slog.Logger
	socket  *socket
	command *commandPipes

	mu   sync.Mutex
	last *held // the core that the socket serves, nil: gdb had none open
}

var start = sync.OnceValues(newServer)

// Start starts the server, once in the life of the process: a library that is
// loaded again finds it running. The core that gdb has open, the last one if
// there are several, is what the socket serves from then on.
func Start() error {
	s, err := start()
	if err != nil {
		return fmt.Errorf("guestcore in gdb: %w", err)
	}
	if cores := openCores(); len(cores) > 0 {
		s.serve(cores[len(cores)-1])
		for _, c := range cores[:len(cores)-1] {
			c.file.Close()
		}
	}
	return nil
}

// keep has the socket serve the core of an inferior, if that is one.
func (s *Server) keep(i inferior) error {
	if i.connection != "core" {
		return nil
	}
	core, err := findCore(i)
	if err != nil {
		return err
	}
	s.serve(core)
	return nil
}

// serve has the socket serve a core, which it takes over.
func (s *Server) serve(core *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		s.last.file.Close()
	}
	s.last = core
}

// served is the core that the socket serves, opened for the caller; nil if
// there is none.
func (s *Server) served() (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil, nil
	}
	return s.last.again()
}

func newServer() (*Server, error) {
	for _, fd := range []int{SocketFD, ScriptFD, RequestFD, AnswerFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			return nil, fmt.Errorf("file descriptor %d is in use by something else in this process", fd)
		}
	}
	s := &Server{log: slog.New(slog.DiscardHandler)}
	if os.Getenv("GUESTCORE_VERBOSE") != "" {
		s.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var err error
	if s.socket, err = newSocket(); err != nil {
		return nil, err
	}
	if s.command, err = newCommandPipes(); err != nil {
		s.socket.Close()
		return nil, err
	}
	go s.guarded("the target", s.serveTargets)
	go s.guarded("commands", s.serveCommands)
	return s, nil
}

// guarded runs a loop that must never take gdb down with it: after a panic,
// which is our defect, it goes on with the next client or command.
func (s *Server) guarded(what string, loop func(context.Context) error) {
	for {
		ended, err := s.attempt(loop)
		if ended {
			if err != nil {
				fmt.Fprintf(os.Stderr, "guestcore: %s: %v\n", what, err)
			}
			return
		}
		fmt.Fprintf(os.Stderr, "guestcore: %s: %v; this is a defect of guestcore, gdb goes on\n", what, err)
	}
}

func (s *Server) attempt(loop func(context.Context) error) (ended bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			ended, err = false, fmt.Errorf("panic: %v", p)
		}
	}()
	return true, loop(context.Background())
}

// place moves a file to a file descriptor that scripts know. The number stays
// closed to the programs that gdb starts.
func place(f int, at int) error { return unix.Dup3(f, at, unix.O_CLOEXEC) }
