package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"guestcore/test/rig"
)

// What is promised of the compressed formats, against makedumpfile on our ELF dump of the same guest. -d 1 has it share one
// page of zeros, as ours do, and keep all else.
const (
	leastSingle  = 1.8  // the time of makedumpfile by ours
	leastShared  = 1.0  // the same, where the file system shares what is random
	leastThreads = 1.0  // the same, with --num-threads 2
	mostLength   = 1.05 // our file's length by makedumpfile's

	kdumpRounds = 5
	kdumpRandom = 512 << 20 // bytes of RAM: zlib takes its time on those
	patience    = 10        // times our time that --num-threads 2 gets, as it would take a hundred
)

// kdumpGuest is a guest to be dumped in the compressed formats.
type kdumpGuest struct {
	name, what string
	core       func(context.Context) (string, error)
	live       rig.Config // the same, for QEMU's own dump; Files are made by core
	stored     bool       // no page gets shorter, so that a dump is much like a copy
	least      float64    // what is promised
}

// match is a compression of makedumpfile's and our formats that are held to it. No makedumpfile here has snappy, which is held
// to LZO; Debian 12's has no zstd.
type match struct {
	name         string
	makedumpfile func() (string, error)
	flag         string
	formats      []string
}

var matches = []match{
	{"zlib", rig.Makedumpfile, "-c", []string{"kdump-zlib"}},
	{"lzo", rig.Makedumpfile, "-l", []string{"kdump-lzo", "kdump-snappy"}},
	{"zstd", func() (string, error) { return rig.SidProgram("makedumpfile") }, "-z", []string{"kdump-zstd"}},
}

// kdumps are the parts of a guest that has just booted and of one that is full of random bytes.
func (b *bench) kdumps() []part {
	var parts []part
	for _, g := range []kdumpGuest{
		{"fresh", "1 GiB fresh from boot, ext4", b.freshCore, rig.PC, false, leastSingle},
		{"random", fmt.Sprintf("%d MiB of random bytes, ext4", kdumpRandom>>20), b.kdumpRandomCore,
			rig.Config{Args: append([]string{"-S"}, b.randomArgs(kdumpRandom)...), Bare: true}, true, leastSingle},
	} {
		for _, m := range matches {
			parts = append(parts, part{"kdump-" + g.name + "-" + m.name, func(ctx context.Context) error { return b.kdump(ctx, g, m) }})
		}
	}
	return append(parts, part{"kdump-random-shared", b.kdumpShared})
}

// kdumpShared dumps random bytes where the file system shares them with the core.
func (b *bench) kdumpShared(ctx context.Context) error {
	random, err := b.kdumpRandomCore(ctx)
	if err != nil {
		return err
	}
	xfs, unmount, err := mountXFS(ctx, b.dir, 8<<30)
	if err != nil {
		return err
	}
	defer unmount()
	core := filepath.Join(xfs, "core")
	if _, err := timed(ctx, b.dir, "cp", "--sparse=always", random, core); err != nil {
		return err
	}
	there := *b
	there.dir = xfs
	err = there.kdump(ctx, kdumpGuest{
		what:  fmt.Sprintf("%d MiB of random bytes, XFS", kdumpRandom>>20),
		core:  func(context.Context) (string, error) { return core, nil },
		least: leastShared,
	}, match{"lzo", rig.Makedumpfile, "-l", []string{"kdump-lzo"}})
	b.rows = there.rows
	return err
}

func (b *bench) freshCore(ctx context.Context) (string, error) {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return "", err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return "", err
	}
	return guest.Core, nil
}

// kdumpRandomCore is made once for all parts.
func (b *bench) kdumpRandomCore(ctx context.Context) (string, error) {
	if b.kdumpRandom != "" {
		return b.kdumpRandom, nil
	}
	qemu, err := rig.StockQEMU()
	if err != nil {
		return "", err
	}
	b.kdumpRandom, err = b.randomCore(ctx, qemu, kdumpRandom)
	return b.kdumpRandom, err
}

// kdump compares our dumps of a guest with what makedumpfile makes, and QEMU where it has the format.
func (b *bench) kdump(ctx context.Context, g kdumpGuest, m match) error {
	makedumpfile, err := m.makedumpfile()
	if err != nil {
		return err
	}
	core, err := g.core(ctx)
	if err != nil {
		return err
	}
	elf := filepath.Join(b.dir, "elf")
	if _, err := timed(ctx, b.dir, b.program, "dump", core, elf); err != nil { // reads the core into the page cache
		return err
	}
	defer os.Remove(elf)
	theirs := &packing{command: []string{makedumpfile, m.flag, "-d", "1", elf}}
	all := []*packing{theirs}
	for _, f := range m.formats {
		all = append(all, &packing{command: []string{b.program, "dump", "--format", f, core}})
	}
	contest := all
	floor := &packing{command: []string{"cp", "--sparse=never", elf}}
	if g.stored {
		contest = append(contest[:len(all):len(all)], floor)
	}
	for round := range kdumpRounds {
		for i := range contest {
			p := contest[(round+i)%len(contest)] // what ran before leaves memory more or less ready to be used
			if ended, err := p.run(ctx, b.dir, limit); err != nil {
				return err
			} else if !ended {
				return fmt.Errorf("%v did not end in %v", p.command, limit)
			}
		}
	}
	b.add(fmt.Sprintf("%s: makedumpfile %s -d 1", g.what, m.flag), theirs.String(), "", false)
	if g.stored {
		b.add("  cp --sparse=never of that ELF dump", fmt.Sprintf("%v, %.2f times faster", floor, theirs.by(floor)), "", false)
	}
	for i, f := range m.formats {
		ours := all[1+i]
		faster, longer := theirs.by(ours), float64(ours.length)/float64(theirs.length)
		value := fmt.Sprintf("%v, %.2f times faster", ours, faster)
		if g.stored {
			value += fmt.Sprintf(", %.2f × cp", ours.by(floor))
		}
		b.add("  guestcore dump --format "+f, value, fmt.Sprintf("at least %.1f times", g.least), faster < g.least)
		b.add("    length", fmt.Sprintf("%.3f × theirs", longer), fmt.Sprintf("at most %.2f ×", mostLength), longer > mostLength)
		b.add("    memory at its peak", fmt.Sprintf("%d MiB", ours.peak>>20), fmt.Sprintf("at most %d MiB", mostPeak>>20), ours.peak > mostPeak)
	}
	if err := b.threads(ctx, all, makedumpfile, m.flag, "--num-threads", "2", "-d", "1", elf); err != nil {
		return err
	}
	if m.name == "zlib" { // the only one that Debian 12's QEMU has
		return b.qemuDump(ctx, g, all[1].times)
	}
	return nil
}

// qemuDump times QEMU's own dump of the guest, alive and stopped, against ours.
func (b *bench) qemuDump(ctx context.Context, g kdumpGuest, ours times) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "live.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	guest, err := rig.Start(ctx, dir, qemu, g.live)
	if err != nil {
		return err
	}
	defer guest.Kill()
	if err := guest.Stop(); err != nil {
		return err
	}
	var theirs times
	var length int64
	for range kdumpRounds {
		syscall.Sync()
		time.Sleep(settle)
		path, took, err := guest.DumpAs("kdump-zlib", "kdump")
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		theirs, length = append(theirs, took.Seconds()), info.Size()
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	b.add("  QEMU's own dump-guest-memory, kdump-zlib, of such a guest alive", fmt.Sprintf("%.3f s, %.1f MB, guestcore's is %.2f times faster",
		theirs.best(), float64(length)/1e6, theirs.best()/ours.best()), "", false)
	return nil
}

// threads runs makedumpfile with several threads, once and not to its end if it is far behind, against the slowest of ours,
// which are all but the first.
func (b *bench) threads(ctx context.Context, all []*packing, command ...string) error {
	slowest := 0.0
	for _, ours := range all[1:] {
		slowest = max(slowest, ours.times.best())
	}
	theirs := &packing{command: command}
	ended, err := theirs.run(ctx, b.dir, time.Duration(patience*slowest*float64(time.Second)))
	if err != nil && ctx.Err() == nil { // it cannot always end its threads: "libgcc_s.so.1 must be installed for pthread_exit to work"
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
		b.add("  makedumpfile with --num-threads 2, once", "failed: "+lines[len(lines)-1], "not compared", false)
		return nil
	}
	if err != nil {
		return err
	}
	value := fmt.Sprintf("stopped after %d times our time", patience)
	ratio := float64(patience)
	if ended {
		ratio = theirs.times.best() / slowest
		value = fmt.Sprintf("%v, ours is %.2f times faster", theirs, ratio)
	}
	b.add("  makedumpfile with --num-threads 2, once", value, fmt.Sprintf("at least %.1f times", leastThreads), ratio < leastThreads)
	return nil
}

// packing is what a command that writes a compressed dump took and made.
type packing struct {
	command []string // without the name of the dump
	times   times
	cpu     times // user and system, seconds
	length  int64 // bytes
	peak    int64 // the most memory of a run, bytes
}

// run adds a run that writes a new file, and reports whether it ended in that time at most. Nobody pays for what another wrote.
func (p *packing) run(ctx context.Context, dir string, most time.Duration) (ended bool, err error) {
	out := filepath.Join(dir, "kdump")
	defer os.Remove(out)
	syscall.Sync()
	time.Sleep(settle)
	before, err := childrenCPU()
	if err != nil {
		return false, err
	}
	patient, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	result, err := rig.Run(patient, limit, dir, p.command[0], append(p.command[1:len(p.command):len(p.command)], out)...)
	if patient.Err() != nil && ctx.Err() == nil {
		return false, nil
	}
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return false, fmt.Errorf("%v: %w", p.command, err)
	}
	after, err := childrenCPU()
	if err != nil {
		return false, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return false, err
	}
	p.times, p.cpu = append(p.times, result.Time.Seconds()), append(p.cpu, (after-before).Seconds())
	p.length, p.peak = info.Size(), max(p.peak, result.Peak)
	return true, nil
}

// by is how many times as long as another it took.
func (p *packing) by(other *packing) float64 { return p.times.best() / other.times.best() }

func (p *packing) String() string {
	return fmt.Sprintf("%.3f s (%.3f s of CPU), %.1f MB", p.times.best(), p.cpu.best(), float64(p.length)/1e6)
}

// childrenCPU is the time on processors of all programs that ran so far.
func childrenCPU() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
