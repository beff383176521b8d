package ingdb

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// inferior is gdb's current inferior as its own commands show it.
type inferior struct {
	pid        int    // 0 if gdb does not say
	connection string // "core", "native", "remote", "extended-remote", "" for none
	peer       string // of a remote connection: "localhost:1234"
	core       string // path of the core file, "" if gdb does not say
}

// currentLine is the line of the current inferior, gdb 10 and later:
//
//   - 1    process 4711      1 (core)             /usr/bin/qemu-system-x86_64
var currentLine = regexp.MustCompile(`(?m)^\*\s+\d+\s+(.*)$`)

var (
	processID  = regexp.MustCompile(`^process (\d+)`)
	connection = regexp.MustCompile(`\s\d+ \(([a-z-]+)(?: ([^)]*))?\)`)
	coreFile   = regexp.MustCompile("(?m)^Local core dump file:\n\t[`'\"](.*)['\"], file type ")
)

// currentInferior reads what "info inferiors" and "info files" print.
func currentInferior(text string) (inferior, error) {
	line := currentLine.FindStringSubmatch(text)
	if line == nil {
		first, _, _ := strings.Cut(text, "\n")
		return inferior{}, fmt.Errorf("gdb's list of inferiors was not understood: it begins with %.120q", first)
	}
	var i inferior
	if m := processID.FindStringSubmatch(line[1]); m != nil {
		i.pid, _ = strconv.Atoi(m[1])
	}
	if m := connection.FindStringSubmatch(line[1]); m != nil {
		i.connection, i.peer = m[1], m[2]
	}
	if m := coreFile.FindStringSubmatch(text); m != nil {
		i.core = m[1]
	}
	return i, nil
}

// isRemote reports whether gdb reaches the inferior through a server.
func (i inferior) isRemote() bool { return strings.HasSuffix(i.connection, "remote") }

// isGDBServers reports whether a gdbserver of this machine has stopped the
// inferior. A process of another machine may have the same number.
func (i inferior) isGDBServers() bool {
	return i.isRemote() && i.pid > 0 && isLocal(i.peer) && strings.HasPrefix(tracer(i.pid), "gdbserver")
}

// isLocal reports whether gdb reaches this address without leaving the
// machine: a program it has started, a unix socket or a terminal, loopback.
func isLocal(peer string) bool {
	if strings.HasPrefix(peer, "|") || filepath.IsAbs(peer) {
		return true
	}
	for _, protocol := range []string{"tcp:", "tcp4:", "tcp6:"} {
		peer = strings.TrimPrefix(peer, protocol)
	}
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		return false
	}
	return host == "" || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// tracer is the name of the program that traces a process of this machine, ""
// if none does.
func tracer(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(status), "\nTracerPid:\t")
	id, _, _ := strings.Cut(rest, "\n")
	if id == "0" {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%s/comm", id))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(name), "\n")
}
