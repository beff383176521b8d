package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Dial connects to a server: HOST:PORT, :PORT on this machine, unix:PATH, or
// the path of a terminal.
func Dial(ctx context.Context, spec string) (io.ReadWriteCloser, error) {
	if err := CheckServer(spec); err != nil {
		return nil, err
	}
	var d net.Dialer
	if path, ok := strings.CutPrefix(spec, "unix:"); ok {
		return d.DialContext(ctx, "unix", path)
	}
	if strings.HasPrefix(spec, "/") {
		return openTTY(spec)
	}
	if strings.HasPrefix(spec, ":") {
		spec = "127.0.0.1" + spec
	}
	return d.DialContext(ctx, "tcp", spec)
}

// CheckServer returns an error if spec names no server, without asking whether
// there is one.
func CheckServer(spec string) error {
	if strings.HasPrefix(spec, "unix:") || strings.HasPrefix(spec, "/") {
		return nil
	}
	if _, port, err := net.SplitHostPort(spec); err != nil || port == "" {
		return fmt.Errorf("%q is no server: give HOST:PORT, :PORT, unix:PATH or the path of a terminal", spec)
	}
	return nil
}

// openTTY opens a terminal in raw mode. Its speed is left as it is.
func openTTY(path string) (io.ReadWriteCloser, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := makeRaw(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is no terminal: %w", path, err)
	}
	return reopenPolled(f)
}
