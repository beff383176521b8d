package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"guestcore/test/rig"
)

// What is promised of the compressed formats, against makedumpfile on our ELF dump of the same guest. -d 1 has it share one
// page of zeros, as ours do, and keep all else.
const (
	leastSingle   = 1.8  // the time of makedumpfile by ours
	leastThreads  = 1.0  // the same, with --num-threads 2
	mostLength    = 1.05 // our file's length by makedumpfile's
	mostKdumpPeak = 256 << 20
	kdumpRandom   = 512 << 20 // bytes of RAM: zlib takes its time on those
	kdumpRounds   = 3
)

// kdump dumps a guest that has just booted and one that is full of random bytes in each compressed format.
func (b *bench) kdump(ctx context.Context) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	guest, err := rig.Boot(ctx, qemu, rig.PC)
	if err != nil {
		return err
	}
	if err := b.kdumpOf(ctx, "1 GiB fresh from boot", guest.Core); err != nil {
		return err
	}
	core, err := b.randomCore(ctx, qemu, kdumpRandom)
	if err != nil {
		return err
	}
	defer os.Remove(core)
	return b.kdumpOf(ctx, fmt.Sprintf("%d MiB of random bytes", kdumpRandom>>20), core)
}

// kdumpOf compares the formats with what makedumpfile makes. It has no snappy here, which is held to its LZO; Debian 12's has
// no zstd.
func (b *bench) kdumpOf(ctx context.Context, what, core string) error {
	stable, err := rig.Makedumpfile()
	if err != nil {
		return err
	}
	sid, err := rig.Sid("makedumpfile")
	if err != nil {
		return err
	}
	elf, out := filepath.Join(b.dir, "elf"), filepath.Join(b.dir, "kdump")
	if _, err := timed(ctx, b.dir, b.program, "dump", core, elf); err != nil { // reads the core into the page cache
		return err
	}
	defer os.Remove(elf)
	peak := int64(0)
	for _, against := range []struct {
		program, flag string
		formats       []string
	}{
		{stable, "-c", []string{"zlib"}},
		{stable, "-l", []string{"lzo", "snappy"}},
		{sid, "-z", []string{"zstd"}},
	} {
		single := &packing{command: []string{against.program, against.flag, "-d", "1", elf, out}}
		threads := &packing{command: []string{against.program, against.flag, "--num-threads", "2", "-d", "1", elf, out}}
		all := []*packing{single}
		for _, f := range against.formats {
			all = append(all, &packing{command: []string{b.program, "dump", "--format", "kdump-" + f, core, out}})
		}
		for range kdumpRounds {
			for _, p := range all {
				if err := p.run(ctx, b.dir, out); err != nil {
					return err
				}
			}
		}
		if err := threads.run(ctx, b.dir, out); err != nil { // once, as it takes many times longer
			return err
		}
		b.add(fmt.Sprintf("%s, ext4: makedumpfile %s -d 1", what, against.flag), single.String(), "", false)
		b.add("  with --num-threads 2, run once", threads.String(), "", false)
		for i, f := range against.formats {
			ours := all[1+i]
			b.againstPacking("kdump-"+f, ours, single, threads)
			peak = max(peak, ours.peak)
		}
	}
	b.add("  memory of guestcore dump at its peak, all four", fmt.Sprintf("%d MiB", peak>>20), fmt.Sprintf("at most %d MiB", mostKdumpPeak>>20),
		peak > mostKdumpPeak)
	return nil
}

func (b *bench) againstPacking(format string, ours, single, threads *packing) {
	bySingle, byThreads := single.times.best()/ours.times.best(), threads.times.best()/ours.times.best()
	length := float64(ours.length) / float64(single.length)
	b.add("  guestcore dump --format "+format, fmt.Sprintf("%v, %.2f times faster", ours, bySingle),
		fmt.Sprintf("at least %.1f times", leastSingle), bySingle < leastSingle)
	b.add("    against two threads", fmt.Sprintf("%.2f times faster", byThreads), fmt.Sprintf("at least %.1f times", leastThreads),
		byThreads < leastThreads)
	b.add("    length by theirs", fmt.Sprintf("%.3f ×", length), fmt.Sprintf("at most %.2f ×", mostLength), length > mostLength)
}

// packing is what a command that writes a compressed dump took and made.
type packing struct {
	command []string
	times   times
	cpu     times // user and system, seconds
	length  int64 // bytes
	peak    int64 // the most memory of a run, bytes
}

// run adds a run that writes the new file out. Nobody pays for what another wrote.
func (p *packing) run(ctx context.Context, dir, out string) error {
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	syscall.Sync()
	time.Sleep(settle)
	before, err := childrenCPU()
	if err != nil {
		return err
	}
	result, err := rig.Run(ctx, limit, dir, p.command[0], p.command[1:]...)
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", p.command, err)
	}
	after, err := childrenCPU()
	if err != nil {
		return err
	}
	info, err := os.Stat(out)
	if err != nil {
		return err
	}
	p.times, p.cpu = append(p.times, result.Time.Seconds()), append(p.cpu, (after-before).Seconds())
	p.length, p.peak = info.Size(), max(p.peak, result.Peak)
	return os.Remove(out)
}

func (p *packing) String() string {
	return fmt.Sprintf("%.3f s (%.3f s of CPU), %.1f MB", p.times.best(), p.cpu.best(), float64(p.length)/1e6)
}

// childrenCPU is the time on processors of all programs that ran so far.
func childrenCPU() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
