package endpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Pty is a pseudo-terminal: "target remote /dev/pts/N". The clients come one
// after another; a second one at the same time cannot be told from the first.
type Pty struct {
	master *os.File
	name   string
	free   chan struct{} // holds a token while no client has the stream
	once   sync.Once
	closed chan struct{}
}

// poll is how often to look whether a client has opened the terminal.
const poll = 50 * time.Millisecond

// OpenPty opens a pseudo-terminal in raw mode. gdb asks for no more than its
// name.
func OpenPty() (*Pty, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("cannot open a pseudo-terminal: %w", err)
	}
	defer slave.Close() // for a client's leaving to be seen, it must be the last
	polled, err := reopenPolled(master)
	if err != nil {
		return nil, fmt.Errorf("cannot set up %s: %w", slave.Name(), err)
	}
	p := &Pty{
		master: polled,
		name:   slave.Name(),
		free:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	p.free <- struct{}{}
	if err := makeRaw(slave); err != nil {
		p.Close()
		return nil, fmt.Errorf("cannot set up %s: %w", p.name, err)
	}
	return p, nil
}

// reopenPolled puts f, which it closes, under the runtime's poller: creack/pty
// leaves it blocking, and then no deadline or Close would end a Read.
func reopenPolled(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// makeRaw has bytes pass as they are, as cfmakeraw(3) does.
func makeRaw(tty *os.File) error {
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	return unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, t)
}

// Target is what to give to gdb's command "target remote".
func (p *Pty) Target() string { return p.name }

// Accept waits until the last client has left and the next one has sent
// something.
func (p *Pty) Accept() (io.ReadWriteCloser, error) {
	select {
	case <-p.free:
	case <-p.closed:
		return nil, os.ErrClosed
	}
	first := make([]byte, 4096)
	for {
		n, err := p.master.Read(first)
		if n > 0 {
			return &ptyStream{p: p, early: first[:n]}, nil
		}
		if !errors.Is(err, syscall.EIO) {
			return nil, err
		}
		select { // nobody has it open
		case <-time.After(poll):
		case <-p.closed:
			return nil, os.ErrClosed
		}
	}
}

// Close ends all.
func (p *Pty) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closed)
		err = p.master.Close()
	})
	return err
}

// ptyStream is the time of one client.
type ptyStream struct {
	p      *Pty
	early  []byte // read already, by Accept
	mu     sync.RWMutex
	closed atomic.Bool
	once   sync.Once
}

func (s *ptyStream) Read(b []byte) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed.Load() {
		return 0, os.ErrClosed
	}
	if len(s.early) > 0 {
		n := copy(b, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	n, err := s.p.master.Read(b)
	if errors.Is(err, syscall.EIO) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF // the client, or we, have closed it
	}
	return n, err
}

func (s *ptyStream) Write(b []byte) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed.Load() {
		return 0, os.ErrClosed
	}
	return s.p.master.Write(b)
}

// Close makes way for the next client and drops what this one has not read.
// The terminal stays open, so Read and Write are woken by a deadline.
func (s *ptyStream) Close() error {
	s.once.Do(func() {
		s.closed.Store(true)
		s.p.master.SetDeadline(time.Unix(1, 0))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.p.master.SetDeadline(time.Time{})
		s.p.flush()
		s.p.free <- struct{}{}
	})
	return nil
}

// flush drops what is under way in both directions.
func (p *Pty) flush() {
	if c, err := p.master.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIOFLUSH) })
	}
}
