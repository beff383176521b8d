package endpoint

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Stdio is the one client at the other end of two pipes, as started by gdb's
// "target remote | COMMAND". Nothing else may be written to out.
type Stdio struct {
	stream *stdioStream
	first  chan io.ReadWriteCloser
}

// NewStdio serves the client that writes to in and reads from out, most often
// os.Stdin and os.Stdout. The files stay open.
func NewStdio(in, out *os.File) (*Stdio, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &Stdio{
		stream: &stdioStream{in: in, out: out, wakeR: r, wakeW: w, closed: make(chan struct{})},
		first:  make(chan io.ReadWriteCloser, 1),
	}
	s.first <- s.stream
	return s, nil
}

// Accept returns the client, and io.EOF when it is served.
func (s *Stdio) Accept() (io.ReadWriteCloser, error) {
	select {
	case c := <-s.first:
		return c, nil
	case <-s.stream.closed:
		return nil, io.EOF
	}
}

// Close ends the client's stream.
func (s *Stdio) Close() error { return s.stream.Close() }

// stdioStream waits with poll(2) rather than in read(2), which a Close could
// not end: the runtime does not poll the standard files, and to make them
// non-blocking would do so for every process that shares them.
type stdioStream struct {
	in, out      *os.File
	wakeR, wakeW *os.File
	once         sync.Once
	closed       chan struct{}
}

// maxWrite is what a pipe takes without blocking when poll says that it is
// writable, bytes (PIPE_BUF of Linux).
const maxWrite = 4096

func (s *stdioStream) Read(p []byte) (int, error) {
	if err := s.wait(s.in, unix.POLLIN); err != nil {
		return 0, err
	}
	n, err := s.in.Read(p)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (s *stdioStream) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if err := s.wait(s.out, unix.POLLOUT); err != nil {
			return done, err
		}
		n, err := s.out.Write(p[done:min(len(p), done+maxWrite)])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// wait returns when f is ready, or with an error when the stream is closed.
func (s *stdioStream) wait(f *os.File, events int16) error {
	fds := []unix.PollFd{
		{Fd: int32(f.Fd()), Events: events},
		{Fd: int32(s.wakeR.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case fds[1].Revents != 0:
			return io.ErrClosedPipe
		}
		return nil
	}
}

// Close ends Read and Write. The wake-up pipe stays open for them to see; it
// goes with the process, or with the last reference.
func (s *stdioStream) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.wakeW.Close()
	})
	return nil
}
