package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const readyLimit = 20 * time.Second

// Server is a running `guestcore serve`.
type Server struct {
	Address string // as gdb's target remote takes it

	cmd    *exec.Cmd
	output output
}

// Serve starts `program serve --listen ADDRESS args…` and returns when it listens: on the unix socket at the path socket,
// or on a free port of the loopback interface if socket is "".
func Serve(ctx context.Context, program, socket string, args ...string) (*Server, error) {
	if socket != "" {
		return serve(ctx, program, append([]string{"--listen", "unix:" + socket}, args...), func(*Server) string {
			if info, err := os.Stat(socket); err != nil || info.Mode()&os.ModeSocket == 0 {
				return ""
			}
			return socket
		})
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return serve(ctx, program, append([]string{"--listen", address}, args...), func(*Server) string {
		if !isListening(port) {
			return ""
		}
		return address
	})
}

// ServePTY starts `program serve --pty args…` and returns when it has printed the name of its terminal.
func ServePTY(ctx context.Context, program string, args ...string) (*Server, error) {
	name := regexp.MustCompile(`/dev/pts/\d+`)
	return serve(ctx, program, append([]string{"--pty"}, args...), func(s *Server) string {
		return name.FindString(s.output.String())
	})
}

// serve starts a server; address returns its address once it is ready, "" before.
func serve(ctx context.Context, program string, args []string, address func(*Server) string) (*Server, error) {
	s := &Server{cmd: inSession(exec.CommandContext(ctx, program, append([]string{"serve"}, args...)...))}
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for s.Address == "" {
		if exited(s.cmd.Process.Pid) || time.Since(start) > readyLimit {
			return nil, fmt.Errorf("%s serve does not listen; it printed:\n%s", filepath.Base(program), s.Stop())
		}
		time.Sleep(time.Millisecond)
		s.Address = address(s)
	}
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

// CPUTime is the processor time that the server has taken so far, in steps of 10 ms. Only before Stop.
func (s *Server) CPUTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name
	fields := strings.Fields(rest)
	const utime, tick = 11, 10 * time.Millisecond // USER_HZ is 100
	var user, system int64
	if len(fields) > utime+1 {
		user, _ = strconv.ParseInt(fields[utime], 10, 64)
		system, _ = strconv.ParseInt(fields[utime+1], 10, 64)
	}
	return time.Duration(user+system) * tick, nil
}

// Stop ends the server, as Ctrl-C would, and returns what it printed.
func (s *Server) Stop() string {
	s.Signal(syscall.SIGINT)
	return s.Wait().Output
}

// Signal sends the server a signal.
func (s *Server) Signal(signal syscall.Signal) { s.cmd.Process.Signal(signal) }

// Wait waits until the server has ended by itself, for five seconds, and kills it then.
func (s *Server) Wait() Result {
	stop := time.AfterFunc(5*time.Second, func() { s.cmd.Cancel() })
	s.cmd.Wait()
	stop.Stop()
	return Result{Output: s.output.String(), Status: s.cmd.ProcessState.ExitCode()}
}

// Output is what the server printed so far.
func (s *Server) Output() string { return s.output.String() }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// FreeAddress is an address of the loopback interface that nothing listens on.
func FreeAddress() (string, error) {
	port, err := freePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}

// isListening says whether something listens on a port of 127.0.0.1, without connecting to it: a stub takes the first
// connection for its client.
func isListening(port int) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	const listen = "0A" // TCP_LISTEN
	return err == nil && strings.Contains(string(table), fmt.Sprintf(" 0100007F:%04X 00000000:0000 %s ", port, listen))
}

// output is what a program printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
