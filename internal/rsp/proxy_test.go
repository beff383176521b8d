package rsp_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/client"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/rsp/rsptest"
	"guestcore/internal/rsp/wire"
)

// behind starts a server and a proxy before it, whose own commands begin with "own", and returns the proxy's address.
func behind(t testing.TB, target rsp.Target, log *slog.Logger) string {
	t.Helper()
	server, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- rsp.ServeAll(ctx, server, target, rsp.Options{Log: log}) }()
	up := rsp.Upstream{
		Dial:    func(ctx context.Context) (io.ReadWriteCloser, error) { return endpoint.Dial(ctx, server.Target()) },
		Mine:    func(command string) bool { return strings.HasPrefix(command, "own") },
		Monitor: own,
	}
	go func() { ended <- rsp.ProxyAll(ctx, ln, up, rsp.Options{Log: log}) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return ln.Target()
}

// own runs the proxy's own commands, with the server's memory.
func own(ctx context.Context, c *client.Client, command string, out io.Writer) error {
	switch command {
	case "own read":
		p := make([]byte, 70_000)
		n, err := c.ReadMemory(ctx, p, memStart)
		fmt.Fprintf(out, "%d bytes, %x, then %v\n", n, p[:4], err)
	case "own wait":
		<-ctx.Done()
		return context.Cause(ctx)
	default:
		return fmt.Errorf("no such command: %s", command)
	}
	return nil
}

// What a client is told through a proxy is what the server itself tells it. Only the client that does not acknowledge is told
// more: the proxy does.
func TestProxyPassesAllOn(t *testing.T) {
	checkLeaks(t)
	all, err := os.ReadFile("testdata/rich.txt")
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(all), "# the text is not acknowledged")
	_, after, _ = strings.Cut(after, "\n\n")
	if !found {
		t.Fatal("the transcript has no part without acknowledgement")
	}
	path := filepath.Join(t.TempDir(), "rich.txt")
	if err := os.WriteFile(path, []byte(before+after), 0o600); err != nil {
		t.Fatal(err)
	}
	c := dial(t, behind(t, newRich(), testLog(t)))
	defer c.Close()
	rsptest.Transcript(t, c, path)
}

func TestProxyRunsItsOwn(t *testing.T) {
	checkLeaks(t)
	c := dial(t, behind(t, newRich(), testLog(t)))
	defer c.Close()
	supported, err := c.Ask("qSupported:multiprocess+")
	if err != nil || strings.Contains(supported, "QStartNoAckMode") {
		t.Errorf("qSupported: %q, %v", supported, err)
	}
	ask(t, c, "QStartNoAckMode", "")
	if got := output(t, c, "own read"); !strings.Contains(got, " bytes, ") || strings.HasPrefix(got, "0 bytes") {
		t.Errorf("own read: %q", got)
	}
	if got := output(t, c, "echo theirs"); got != "theirs\n" {
		t.Errorf("a command of the server's: %q", got)
	}
	// gdb stops listening: the command is ended, and the next request is answered.
	if err := c.Send("qRcmd," + hex.EncodeToString([]byte("own wait"))); err != nil {
		t.Fatal(err)
	}
	if err := c.Send("qC"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Receive(); err != nil || !strings.HasPrefix(got, "QC") {
		t.Errorf("after an interrupted command: %q, %v", got, err)
	}
}

// output runs a monitor command that succeeds.
func output(t *testing.T, c *rsptest.Client, command string) string {
	t.Helper()
	if err := c.Send("qRcmd," + hex.EncodeToString([]byte(command))); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for {
		body, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if body == "OK" {
			return text.String()
		}
		part, err := hex.DecodeString(strings.TrimPrefix(body, "O"))
		if err != nil || body[0] != 'O' {
			t.Fatalf("%s: %q", command, body)
		}
		text.Write(part)
	}
}

func TestProxyWithoutServer(t *testing.T) {
	checkLeaks(t)
	ln, err := endpoint.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	up := rsp.Upstream{Dial: func(context.Context) (io.ReadWriteCloser, error) { return nil, fmt.Errorf("nobody there") }}
	go func() { ended <- rsp.ProxyAll(ctx, ln, up, rsp.Options{Log: testLog(t)}) }()
	c := dial(t, ln.Target())
	ask(t, c, "qSupported", "")
	ask(t, c, "?", "E.the server behind: nobody there")
	c.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// BenchmarkPassedOn is a request and its answer, of the server itself and through a proxy: the difference is the proxy's.
func BenchmarkPassedOn(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	for _, way := range []string{"direct", "proxy"} {
		b.Run(way, func(b *testing.B) {
			var address string
			if way == "proxy" {
				address = behind(b, newRich(), quiet)
			} else {
				ln, err := endpoint.Listen("127.0.0.1:0", false)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				go rsp.ServeAll(ctx, ln, newRich(), rsp.Options{Log: quiet})
				address = ln.Target()
			}
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			request, answer := wire.AppendRequest(nil, []byte("qC")), make([]byte, 64)
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < len("+$QC65#33"); {
					m, err := conn.Read(answer[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
				if _, err := conn.Write([]byte("+")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
