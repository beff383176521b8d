package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"guestcore/test/rig"
)

// What is promised of gdb's own commands over the stub.
const (
	leastDumpRatio = 1.3                  // gdbserver's time by ours
	mostCPU        = 5 * time.Millisecond // of guestcore, a MiB that gdb reads
	leastFindRatio = 20                   // gdb's time on its native core by that over the stub

	dumpSize = 256 << 20
	findSize = 1 << 30
)

// memoryDump has gdb 13 dump guest memory of one process through gdbserver 13 and through guestcore, in turn.
// What it takes gdb to start and to connect is subtracted from both.
func (b *bench) memoryDump(ctx context.Context) error {
	gdb, err := rig.MinimalGDB()
	if err != nil {
		return err
	}
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "live.")
	if err != nil {
		return err
	}
	guest, err := rig.Start(ctx, dir, qemu, rig.PC)
	if err != nil {
		return err
	}
	defer guest.Kill()
	if err := guest.Stop(); err != nil {
		return err
	}
	ram, err := largestMapping(guest.PID())
	if err != nil {
		return err
	}
	var theirs, ours times
	var cpu time.Duration
	for range 3 {
		connected, err := throughGDBServer(ctx, gdb, guest.PID(), ram, "")
		if err != nil {
			return err
		}
		took, err := throughGDBServer(ctx, gdb, guest.PID(), ram, filepath.Join(dir, "theirs"))
		if err != nil {
			return err
		}
		theirs = append(theirs, (took - connected).Seconds())
		if connected, _, err = b.throughUs(ctx, gdb, guest.PID(), ram, ""); err != nil {
			return err
		}
		if took, cpu, err = b.throughUs(ctx, gdb, guest.PID(), ram, filepath.Join(dir, "ours")); err != nil {
			return err
		}
		ours = append(ours, (took - connected).Seconds())
	}
	result, err := rig.Run(ctx, limit, dir, "cmp", "theirs", "ours")
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return err
	}
	ratio, each := theirs.by(ours), cpu/(dumpSize>>20)
	b.add("gdb 13, dump binary memory of 256 MiB: gdbserver 13", theirs.String(), "", false)
	b.add("  guestcore serve", fmt.Sprintf("%s, %.1f times faster", ours, ratio), fmt.Sprintf("at least %.1f times", leastDumpRatio), ratio < leastDumpRatio)
	b.add("  processor time of guestcore a MiB", fmt.Sprintf("%.1f ms", each.Seconds()*1e3), fmt.Sprintf("at most %d ms", mostCPU.Milliseconds()), each > mostCPU)
	return nil
}

// largestMapping is where the guest's RAM begins.
func largestMapping(pid int) (uint64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	var at, most uint64
	for line := range strings.Lines(string(maps)) {
		var start, end uint64
		var perms string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &perms); err == nil && strings.HasPrefix(perms, "rw") && end-start > most {
			at, most = start, end-start
		}
	}
	if most < dumpSize {
		return 0, fmt.Errorf("process %d has no mapping of %d bytes", pid, dumpSize)
	}
	return at, nil
}

// dumpCommands dump to a file, or only connect if out is "".
func dumpCommands(target string, ram uint64, out string) []string {
	args := []string{"-nx", "-batch", "-ex", "set sysroot /", "-ex", "set auto-load off", "-ex", "set debuginfod enabled off", "-ex", "target remote " + target}
	if out != "" {
		args = append(args, "-ex", fmt.Sprintf("dump binary memory %s %#x %#x", out, ram, ram+dumpSize))
	}
	return append(args, "-ex", "detach")
}

// throughGDBServer gives gdbserver a socket for its standard input and output: the one of version 13 listens to the whole
// network else.
func throughGDBServer(ctx context.Context, gdb string, pid int, ram uint64, out string) (time.Duration, error) {
	server, err := rig.GDBServer()
	if err != nil {
		return 0, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		file, err := conn.(*net.TCPConn).File()
		if err != nil {
			served <- err
			return
		}
		defer file.Close()
		cmd := exec.CommandContext(ctx, server, "--once", "--attach", "-", fmt.Sprint(pid))
		cmd.Stdin, cmd.Stdout, cmd.SysProcAttr = file, file, &syscall.SysProcAttr{Setsid: true}
		served <- cmd.Run()
	}()
	took, err := timed(ctx, filepath.Dir(out), gdb, dumpCommands(ln.Addr().String(), ram, out)...)
	ln.Close()
	return took, errors.Join(err, <-served)
}

// throughUs also returns the processor time of guestcore.
func (b *bench) throughUs(ctx context.Context, gdb string, pid int, ram uint64, out string) (took, cpu time.Duration, err error) {
	server, err := rig.Serve(ctx, b.program, "", "--pid", fmt.Sprint(pid))
	if err != nil {
		return 0, 0, err
	}
	defer server.Stop()
	before, err := server.CPUTime()
	if err != nil {
		return 0, 0, err
	}
	if took, err = timed(ctx, filepath.Dir(out), gdb, dumpCommands(server.Address, ram, out)...); err != nil {
		return 0, 0, err
	}
	after, err := server.CPUTime()
	return took, after - before, err
}

// find has gdb 13 look for what is not there in 1 GiB of the guest's memory: on the core itself, over the stub, and over the
// stub with the search left to gdb.
func (b *bench) find(ctx context.Context) error {
	gdb, err := rig.MinimalGDB()
	if err != nil {
		return err
	}
	ram, err := largestSegment(b.core)
	if err != nil {
		return err
	}
	server, err := rig.Serve(ctx, b.program, "", b.core)
	if err != nil {
		return err
	}
	defer server.Stop()
	remote := "target remote " + server.Address
	s := search{b, gdb, fmt.Sprintf("find %#x, +%#x, (long)0x5ca1ab1e0ddba115", ram, findSize)}
	alone, err := s.time(ctx, 1, "set remote search-memory-packet off", remote)
	if err != nil {
		return err
	}
	var native, ours times
	for range 3 {
		took, err := s.time(ctx, 10, "core-file "+b.core)
		if err != nil {
			return err
		}
		native = append(native, took)
		if took, err = s.time(ctx, 100, remote); err != nil {
			return err
		}
		ours = append(ours, took)
	}
	ratio := native.by(ours)
	b.add("gdb 13, find over 1 GiB: on the core itself", native.String(), "", false)
	b.add("  over guestcore serve, by gdb itself", fmt.Sprintf("%.3f s", alone), "", false)
	b.add("  guestcore serve", fmt.Sprintf("%s, %.0f and %.0f times faster", ours, ratio, alone/ours.median()), fmt.Sprintf("at least %d times", leastFindRatio), ratio < leastFindRatio)
	return nil
}

// search is a command for gdb that is to be timed.
type search struct {
	*bench
	gdb, command string
}

// time is how many seconds the command takes, of so many in one gdb, after commands that open what is searched. What gdb takes
// besides, to start and to open it, is subtracted: the time of a gdb that gives the command once.
func (s search) time(ctx context.Context, times int, open ...string) (float64, error) {
	args := []string{"-nx", "-batch", "-ex", "set sysroot /", "-ex", "set auto-load off", "-ex", "set debuginfod enabled off"}
	for _, line := range append(open, s.command) {
		args = append(args, "-ex", line)
	}
	once, err := timed(ctx, s.dir, s.gdb, args...)
	if err != nil {
		return 0, err
	}
	for range times {
		args = append(args, "-ex", s.command)
	}
	all, err := timed(ctx, s.dir, s.gdb, args...)
	return (all - once).Seconds() / float64(times), err
}
