package rig

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const readyLimit = 20 * time.Second

// Server is a running `guestcore serve`.
type Server struct {
	Address string        // as gdb's target remote takes it
	Ready   time.Duration // from start to listening

	cmd    *exec.Cmd
	output bytes.Buffer
}

// Serve starts `program serve --listen ADDRESS args…` and returns when it listens: on the unix socket at the path socket,
// or on a free port of the loopback interface if socket is "".
func Serve(ctx context.Context, program, socket string, args ...string) (*Server, error) {
	s := &Server{Address: socket}
	listen := "unix:" + socket
	listening := func() bool {
		info, err := os.Stat(socket)
		return err == nil && info.Mode()&os.ModeSocket != 0
	}
	if socket == "" {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		listen = fmt.Sprintf("127.0.0.1:%d", port)
		s.Address = listen
		listening = func() bool { return isListening(port) }
	}
	s.cmd = inSession(exec.CommandContext(ctx, program, append([]string{"serve", "--listen", listen}, args...)...))
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for !listening() {
		if exited(s.cmd.Process.Pid) || time.Since(start) > readyLimit {
			return nil, fmt.Errorf("%s serve does not listen; it printed:\n%s", filepath.Base(program), s.Stop())
		}
		time.Sleep(time.Millisecond)
	}
	s.Ready = time.Since(start)
	return s, nil
}

// PeakMemory is the most memory that the server had resident, in bytes. Only before Stop.
func (s *Server) PeakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("no VmHWM of the server: %w", err)
	}
	return kib << 10, nil
}

// Stop ends the server, as Ctrl-C would, and returns what it printed.
func (s *Server) Stop() string {
	s.cmd.Process.Signal(syscall.SIGINT)
	stop := time.AfterFunc(5*time.Second, func() { s.cmd.Cancel() })
	s.cmd.Wait()
	stop.Stop()
	return s.output.String()
}

// Wait waits for the server to end by itself, as with --once, and returns its exit status.
func (s *Server) Wait() (status int, output string) {
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode(), s.output.String()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// isListening says whether something listens on a port of 127.0.0.1, without connecting to it: a stub takes the first
// connection for its client.
func isListening(port int) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	const listen = "0A" // TCP_LISTEN
	return err == nil && strings.Contains(string(table), fmt.Sprintf(" 0100007F:%04X 00000000:0000 %s ", port, listen))
}

// Ask connects to a server on TCP, sends one packet of gdb's remote protocol and waits for the answer.
func (s *Server) Ask(ctx context.Context, packet string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(readyLimit)); err != nil {
		return err
	}
	var sum byte
	for _, c := range []byte(packet) {
		sum += c
	}
	if _, err := fmt.Fprintf(conn, "+$%s#%02x", packet, sum); err != nil {
		return err
	}
	answer := bufio.NewReader(conn)
	if _, err := answer.ReadString('$'); err != nil {
		return fmt.Errorf("no answer to %s: %w", packet, err)
	}
	if _, err := answer.ReadString('#'); err != nil {
		return fmt.Errorf("half an answer to %s: %w", packet, err)
	}
	return nil
}
