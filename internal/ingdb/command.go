package ingdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// commandPipes carry a command that runs in this process although it is typed
// in gdb: a shell that gdb starts writes it, as [readRequest] reads it, and
// then shows what comes back until the end. What gdb itself is to do then,
// which may be to fail, lies in a script for it to source.
type commandPipes struct {
	requests *bufio.Reader
	answer   *os.File // the writing end of what AnswerFD reads
	script   *os.File // is ScriptFD
}

func newCommandPipes() (*commandPipes, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	if err := place(p[1], RequestFD); err != nil {
		return nil, fmt.Errorf("file descriptor %d: %w", RequestFD, err)
	}
	unix.Close(p[1])
	script, err := unix.MemfdCreate("guestcore.gdb", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	if err := place(script, ScriptFD); err != nil {
		return nil, fmt.Errorf("file descriptor %d: %w", ScriptFD, err)
	}
	c := &commandPipes{
		requests: bufio.NewReader(os.NewFile(uintptr(p[0]), "requests")),
		script:   os.NewFile(uintptr(script), "script"),
	}
	return c, c.newAnswer()
}

// newAnswer puts a new pipe where the next shell will read. The one before it
// ends once its writing end is closed, whenever its reader opened it.
func (c *commandPipes) newAnswer() error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(p[0])
	if err := place(p[0], AnswerFD); err != nil {
		return fmt.Errorf("file descriptor %d: %w", AnswerFD, err)
	}
	c.answer = os.NewFile(uintptr(p[1]), "answer")
	return nil
}

// setScript is what gdb will source after this command.
func (c *commandPipes) setScript(text string) error {
	if err := c.script.Truncate(0); err != nil {
		return err
	}
	_, err := c.script.WriteAt([]byte(text), 0)
	return err
}

// failScript has gdb fail: it has no command for that alone, so that the name
// of an unknown one has to say it.
const failScript = "dump-guest-memory-failed\n"

// serveCommands runs the commands that scripts send, one after another.
func (s *Server) serveCommands(ctx context.Context) error {
	for {
		q, err := readRequest(s.command.requests)
		if err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		if err := s.serveCommand(ctx, q); err != nil {
			return err
		}
	}
}

// serveCommand runs one command. The shell that asked for it is gone when the
// user has pressed Ctrl-C; then the command ends.
func (s *Server) serveCommand(ctx context.Context, q request) error {
	out := s.command.answer
	if err := s.command.newAnswer(); err != nil {
		return err
	}
	defer out.Close() // the last, so that the script is ready
	if err := s.command.setScript(failScript); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go cancelAtExit(q.shell, cancel)
	then, err := s.run(ctx, q, out)
	if err != nil {
		fmt.Fprintf(out, "dump-guest-memory: %v\n", err)
		return nil
	}
	return s.command.setScript(then)
}

// cancelAtExit cancels when a process has ended.
func cancelAtExit(pid int, cancel context.CancelCauseFunc) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		cancel(errInterrupted)
	}
	if err != nil { // this kernel cannot watch it (before 5.3)
		return
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err == unix.EINTR {
			continue
		}
		cancel(errInterrupted)
		return
	}
}
