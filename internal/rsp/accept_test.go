package rsp_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/rsp/rsptest"
)

func dial(t *testing.T, target string) *rsptest.Client {
	t.Helper()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	return rsptest.NewClient(conn)
}

func ask(t *testing.T, c *rsptest.Client, request, want string) {
	t.Helper()
	got, err := c.Ask(request)
	if err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", request, got, err, want)
	}
}

func TestServeAllTurnsSecondAway(t *testing.T) {
	checkLeaks(t)
	at := serveTCP(t, newRich())
	first := dial(t, at)
	defer first.Close()
	ask(t, first, "qC", "QC65")
	second := dial(t, at)
	defer second.Close()
	ask(t, second, "qSupported:multiprocess+", "")
	ask(t, second, "vMustReplyEmpty", "E.another gdb is connected to this server, disconnect that one first")
	ask(t, first, "qC", "QC65")
	first.Close()
	third := dial(t, at)
	defer third.Close()
	ask(t, third, "qC", "QC65")
}

// A client that comes while the last one's command is still being ended is
// served, not turned away.
func TestServeAllWaitsForCommand(t *testing.T) {
	checkLeaks(t)
	target := &slowToEnd{rich: newRich()}
	at := serveTCP(t, target)
	first := dial(t, at)
	if err := first.Send("qRcmd," + hex.EncodeToString([]byte("wait"))); err != nil {
		t.Fatal(err)
	}
	<-target.waiting
	first.Close()
	second := dial(t, at)
	defer second.Close()
	ask(t, second, "qC", "QC65")
}

type slowToEnd struct{ *rich }

func (s *slowToEnd) Monitor(ctx context.Context, command string, out io.Writer) error {
	err := s.rich.Monitor(ctx, command, out)
	time.Sleep(time.Second)
	return err
}

func TestServeAllOnce(t *testing.T) {
	checkLeaks(t)
	ln, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	done := serveAll(t, ln, newRich(), rsp.Options{Once: true})
	c := dial(t, ln.Target())
	ask(t, c, "qC", "QC65")
	select {
	case err := <-done:
		t.Fatalf("ended with a client there: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", ln.Target()); err == nil {
		conn.Close()
		t.Error("still listening")
	}
}

// The end of the context ends everything, a command included.
func TestServeAllCancel(t *testing.T) {
	checkLeaks(t)
	for _, kind := range []string{"tcp", "pty", "stdio"} {
		t.Run(kind, func(t *testing.T) {
			target := newRich()
			var ln rsp.Listener
			var client func() io.ReadWriteCloser
			switch kind {
			case "tcp":
				s, err := endpoint.Listen("127.0.0.1:0", false)
				if err != nil {
					t.Fatal(err)
				}
				ln, client = s, func() io.ReadWriteCloser {
					conn, err := net.Dial("tcp", s.Target())
					if err != nil {
						t.Fatal(err)
					}
					return conn
				}
			case "pty":
				p, err := endpoint.OpenPty()
				if err != nil {
					t.Fatal(err)
				}
				ln, client = p, func() io.ReadWriteCloser {
					tty, err := os.OpenFile(p.Target(), os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					return tty
				}
			case "stdio":
				in, toServer, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				fromServer, out, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				s, err := endpoint.NewStdio(in, out)
				if err != nil {
					t.Fatal(err)
				}
				ln, client = s, func() io.ReadWriteCloser { return pipeEnd{fromServer, toServer, out} }
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- rsp.ServeAll(ctx, ln, target, rsp.Options{Log: testLog(t)}) }()
			c := rsptest.NewClient(client())
			defer c.Close()
			if err := c.Send("qRcmd," + hex.EncodeToString([]byte("wait"))); err != nil {
				t.Fatal(err)
			}
			<-target.waiting
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("goes on")
			}
			if !strings.Contains(target.lastEnded(), "interrupted") && target.lastEnded() != "context canceled" {
				t.Errorf("the command: %s", target.lastEnded())
			}
		})
	}
}

// pipeEnd is the client's end of two pipes; server is the write end that the
// server had.
type pipeEnd struct {
	io.ReadCloser
	w      io.WriteCloser
	server io.Closer
}

func (p pipeEnd) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p pipeEnd) Close() error {
	return errors.Join(p.server.Close(), p.w.Close(), p.ReadCloser.Close())
}
